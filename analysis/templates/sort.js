// A click on a column's head sorts its table by that column, numbers as numbers; another click turns the order round.
const number = (text) => parseFloat(text.replace(/[\u2212\u2013]/g, "-").replace(/[,<\s]/g, ""));
const compare = (a, b) => {
  const [x, y] = [number(a), number(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) {
    return Number.isNaN(x) && Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : Number.isNaN(x) ? 1 : -1;
  }
  return x - y;
};
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  for (const head of table.tHead.rows[0].cells) {
    head.tabIndex = 0;
    head.className += " sorts";
    const sort = () => {
      const falls = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      const text = (row) => (row.cells[head.cellIndex]?.firstChild?.textContent || row.cells[head.cellIndex]?.textContent || "").trim();
      const rows = [...body.rows].sort((a, b) => compare(text(a), text(b)) * (falls ? -1 : 1));
      body.append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sort();
      }
    });
  }
}
