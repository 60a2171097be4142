// What can be operated and has no name that is read out.
const operable = [...document.querySelectorAll("button, input, select, textarea, a")].filter((each) => each.checkVisibility());
const labels = (each) => [...(each.labels || [])].map((label) => label.textContent.trim()).join("");
const name = (each) => each.getAttribute("aria-label") || each.textContent.trim() || labels(each);
return operable.filter((each) => !name(each)).map((each) => each.outerHTML);
