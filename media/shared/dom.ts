/**
 * Builds the page without markup strings: names come from untrusted files, so text is only ever set as text.
 */
type Child = Node | string | null | undefined | false;
type Attributes = Readonly<Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>>;

function apply(element: Element, attributes: Attributes, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children) if (child) element.append(child);
}

/** An HTML element. Attributes whose value is a function are event listeners; null, undefined and false are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: readonly Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  apply(element, attributes, children);
  return element;
}

/** An SVG element, by the same rules as {@link h}. */
export function svg<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: readonly Child[]): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  apply(element, attributes, children);
  return element;
}

/** One polite live region for the page: charts and grids say here what is under the focus. */
export function announce(text: string): void {
  let region = document.getElementById('live');
  if (!region) {
    region = h('div', { id: 'live', class: 'visually-hidden', role: 'status', 'aria-live': 'polite' });
    // Inside a landmark, so that every piece of content of the page is in one.
    (document.querySelector('main') ?? document.body).append(region);
  }
  region.textContent = text;
}
