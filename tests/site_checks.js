// What test_site.py checks inside a page. Each function returns a list of sentences.
(() => {
  const article = () => document.querySelector("article.bd-article") ?? document.body;
  const show = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 90);
  const unique = (list) => [...new Set(list)];

  // Folded solutions are checked too.
  window.unfold = () => {
    document.querySelectorAll(".toggle-hidden").forEach((e) => e.classList.remove("toggle-hidden"));
    document.querySelectorAll("article details").forEach((e) => (e.open = true));
    return [];
  };

  // --- pictures have a text alternative
  const label = (element) =>
    element.getAttribute("aria-label") ||
    (element.getAttribute("aria-labelledby") ?? "")
      .split(/\s+/)
      .map((id) => (id && document.getElementById(id)?.textContent) || "")
      .join("") ||
    element.querySelector(":scope > title")?.textContent ||
    element.getAttribute("alt") ||
    "";
  window.pictures = () => {
    const pictures = [...article().querySelectorAll("img, svg, [role=img], canvas")].filter(
      (e) => !e.closest("[aria-hidden=true], mjx-container, button") && !e.parentElement.closest("svg"),
    );
    return pictures.flatMap((e) => {
      const text = label(e).trim();
      if (!text) return [`no text alternative: ${show(e)}`];
      if (/\.(png|svg|jpe?g|gif)$/.test(text)) return [`the alternative is its file name: ${show(e)}`];
      return [];
    });
  };

  // --- formulas are typeset
  window.formulas = () => {
    const raw = [];
    const walker = document.createTreeWalker(article(), NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.parentElement.closest("pre, code, script, style, mjx-container, .math")) continue;
      if (/\\[([]|\$\$|\\(frac|sqrt|text|begin)\b/.test(node.data)) raw.push(node.data.trim().slice(0, 60));
    }
    const untouched = [...article().querySelectorAll(".math")].filter((e) => !e.querySelector("mjx-container"));
    return [
      ...raw.map((text) => `raw formula: ${text}`),
      ...untouched.map((e) => `formula not typeset: ${show(e)}`),
      ...[...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map(
        (e) => `error in a formula: ${e.closest("mjx-container")?.textContent ?? show(e)}`,
      ),
    ];
  };

  // --- nothing is wider than the page
  const scrolls = (e) => /auto|scroll/.test(getComputedStyle(e).overflowX);
  window.overflow = () => {
    const width = document.documentElement.clientWidth;
    const problems = [];
    if (document.documentElement.scrollWidth > width)
      problems.push(`overflow: the page is ${document.documentElement.scrollWidth} px wide`);
    for (const e of article().querySelectorAll("*")) {
      const box = e.getBoundingClientRect();
      if (box.right <= width + 1 || box.width <= 1 || !e.checkVisibility({ visibilityProperty: true })) continue;
      if (e.closest("mjx-assistive-mml") || e.parentElement.closest("mjx-container, svg")) continue;
      let parent = e.parentElement;
      while (parent && !scrolls(parent)) parent = parent.parentElement;
      if (!parent) problems.push(`sticks out by ${Math.round(box.right - width)} px: ${show(e)}`);
    }
    return problems.slice(0, 5);
  };

  // --- labels of pictures, code and outputs can be read
  const rgba = (text) => {
    const numbers = text.match(/[\d.]+/g)?.map(Number);
    return numbers && /^rgb/.test(text) ? [...numbers.slice(0, 3), numbers[3] ?? 1] : null;
  };
  const over = (top, bottom) => top.slice(0, 3).map((c, i) => c * top[3] + bottom[i] * (1 - top[3]));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const paint = (e) => {
    const style = getComputedStyle(e);
    const svg = e instanceof SVGElement && e.tagName !== "svg";
    const colour = rgba(svg ? style.fill : style.backgroundColor);
    if (!colour) return null;
    if (svg) colour[3] *= style.fillOpacity;
    for (let p = e; p; p = p.parentElement) colour[3] *= getComputedStyle(p).opacity;
    return colour;
  };
  // The colour behind the middle of an element: layers from the page up to it.
  const behind = (e, x, y) => {
    const layers = document.elementsFromPoint(x, y);
    const below = layers.slice(layers.findIndex((layer) => layer === e || e.contains(layer)) + 1);
    return below
      .filter((layer) => !/^(text|tspan)$/.test(layer.tagName))
      .map(paint)
      .filter(Boolean)
      .reduceRight((ground, layer) => over(layer, ground), [255, 255, 255]);
  };
  // Behind code there are only HTML boxes, so its ancestors are enough, and quick.
  const behindCode = (e) => {
    const ancestors = [];
    for (let p = e; p; p = p.parentElement) ancestors.push(paint(p));
    return ancestors.filter(Boolean).reduceRight((ground, layer) => over(layer, ground), [255, 255, 255]);
  };
  const words = (e) => [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join("").trim();
  window.contrast = () => {
    // What was opened a moment ago is still fading in.
    for (const a of document.getAnimations()) if (a.effect.getComputedTiming().endTime !== Infinity) a.finish();
    const problems = [];
    for (const e of article().querySelectorAll("pre, pre *")) {
      const colour = rgba(getComputedStyle(e).color);
      if (!words(e) || !colour || !e.checkVisibility()) continue;
      const ground = behindCode(e);
      const found = ratio(over(colour, ground), ground);
      if (found < 4.5) problems.push(`hard to read: ${words(e).slice(0, 30)} (${found.toFixed(1)} to 1, code)`);
    }
    for (const e of article().querySelectorAll("svg text, svg tspan")) {
      const colour = paint(e);
      if (!words(e) || !colour || !e.checkVisibility()) continue;
      let box = e.getBoundingClientRect();
      if (box.top < 100 || box.bottom > innerHeight - 20) {
        e.scrollIntoView({ block: "center", behavior: "instant" });
        box = e.getBoundingClientRect();
      }
      const ground = behind(e, box.x + box.width / 2, box.y + box.height / 2);
      const found = ratio(over(colour, ground), ground);
      if (found < 4.5) problems.push(`hard to read: ${words(e).slice(0, 30)} (${found.toFixed(1)} to 1, picture)`);
    }
    return unique(problems).slice(0, 10);
  };
})();
