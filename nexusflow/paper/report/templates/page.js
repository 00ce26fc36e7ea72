"use strict";

// Theme: the button offers the other one; the choice is kept where the browser allows it.
const root = document.documentElement;
const themeButton = document.getElementById("theme");
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
const nameTheme = () => {
  themeButton.textContent = isDark() ? "Light theme" : "Dark theme";
};
themeButton.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  try {
    localStorage.setItem("nexusflow-theme", root.dataset.theme);
  } catch (error) {
    // No storage: the choice lasts as long as the page.
  }
  nameTheme();
});
systemDark.addEventListener("change", nameTheme);
nameTheme();

// Contents: folded on small screens, where they would push everything else down.
if (matchMedia("(max-width: 70rem)").matches) document.getElementById("contents").open = false;

// Tables: a button in the head sorts, first rising, then falling; unknown values stay last.
const valueOf = (row, column) => {
  const cell = row.cells[column];
  if (cell.hasAttribute("data-none")) return null;
  return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
};
const compare = (first, second) => {
  if (typeof first === "number" && typeof second === "number") return first - second;
  return String(first).localeCompare(String(second), "en", { numeric: true });
};
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.firstElementChild.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
      rows.sort(([first], [second]) => {
        if (first === null || second === null) return (first === null) - (second === null);
        return falling ? compare(second, first) : compare(first, second);
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// Claims: every filter that is set must hold, and every word of the search must occur.
const filters = document.getElementById("filters");
if (filters) {
  const claims = [...document.querySelectorAll("#claim-list > li")];
  const count = document.getElementById("f-count");
  const field = (name) => document.getElementById(`f-${name}`).value;
  const apply = () => {
    const words = field("text").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const claim of claims) {
      const fits =
        ["verdict", "topic", "suite"].every((name) => !field(name) || claim.dataset[name] === field(name)) &&
        words.every((word) => claim.dataset.words.includes(word));
      claim.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${claims.length} claims`;
  };
  filters.addEventListener("input", apply);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(apply));
  // A browser may bring back what was typed before the page was loaded again.
  apply();
}

// Figures: at their own size in a window that scrolls; the browser closes it with Escape.
const large = document.getElementById("large");
for (const button of document.querySelectorAll("button.zoom")) {
  button.addEventListener("click", () => {
    const picture = button.firstElementChild;
    const copy = large.querySelector("img");
    copy.src = picture.src;
    copy.alt = picture.alt;
    large.showModal();
  });
}
