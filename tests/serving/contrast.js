// Texts whose contrast with what lies behind them is less than WCAG 2's 4.5 to 1.
function light(rgb) {
  const linear = (each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = rgb.map((each) => linear(each / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function numbers(text) { return text.match(/[0-9.]+/g).map(Number); }
function ground(element) {
  for (let each = element; each; each = each.parentElement) {
    const found = numbers(getComputedStyle(each).backgroundColor);
    if (found.length === 3 || found[3] === 1) return found.slice(0, 3);
  }
  return [255, 255, 255];
}
const poor = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(":disabled, noscript")) continue;
  const ink = numbers(getComputedStyle(element).color).slice(0, 3);
  const [one, other] = [light(ink), light(ground(element))].sort((a, b) => b - a);
  if ((one + 0.05) / (other + 0.05) < 4.5) poor.push([element.tagName, element.className, walker.currentNode.data]);
}
return poor;
