"""What generated images are good for: classifiers trained on them and tested on real patches of other maps."""
