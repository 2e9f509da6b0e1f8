// Steps through the walk backward. Nothing is laid out again: classes show and hide.
// What a user wrote is only ever set as text.
(() => {
  "use strict";

  // A page may hold several figures, and one script each: every one is started once.
  for (const figure of document.querySelectorAll(".tinygrad-edu-stepper:not(.live)")) {
    figure.classList.add("live");
    const svg = figure.querySelector("svg");
    const told = figure.querySelector("script[type='application/json']");
    const data = JSON.parse(told.textContent);
    const boxes = [...svg.querySelectorAll("[data-box]")];
    watch(figure, svg, boxes, data.output);
    const view = zoomable(figure, svg);
    if (data.steps.length) step(figure, svg, boxes, data, view);
  }

  // The walk: step 0 is the whole picture, step k the k-th operation's turn.
  function step(figure, svg, boxes, { sources, steps, more }, view) {
    const find = (name) => figure.querySelector(`.${name}`);
    const edges = [...svg.querySelectorAll("[data-edge]")];
    const slider = find("slider");
    const caption = find("caption");
    const texts = [...caption.children, ...figure.querySelectorAll(".steps > li")];
    const alone = figure.dataset.link === ""; // the page is about this figure
    const link = new RegExp(`^#${figure.dataset.link}(\\d+)$`);
    const last = steps.length;
    let now = 0;

    const arrival = sources.map(() => Infinity); // of the gradient on each edge
    const sums = boxes.map(() => []); // of what is added up in each box: the steps
    steps.forEach(([, shares], k) => {
      for (const edge of shares) {
        arrival[edge] = k + 1;
        sums[sources[edge]].push(k + 1);
      }
    });
    const partial = boxes.map((box, i) => {
      const band = sums[i].length > 1 && box.querySelector("text.gradient");
      if (!band) return null;
      const text = band.cloneNode();
      text.setAttribute("class", "partial");
      return band.parentNode.appendChild(text);
    });

    function show(k) {
      now = Math.max(0, Math.min(last, k));
      const turn = now ? steps[now - 1][0] : -1;
      edges.forEach((edge, i) => {
        const is = (name, truth) => edge.classList.toggle(name, now > 0 && truth);
        is("now", arrival[i] === now);
        is("given", arrival[i] < now && sources[i] === turn);
        is("past", arrival[i] < now && sources[i] !== turn);
        is("later", arrival[i] > now);
      });
      boxes.forEach((box, i) => {
        const is = (name, truth) => box.classList.toggle(name, now > 0 && truth);
        const [got, all] = [sums[i].filter((k) => k <= now).length, sums[i].length];
        is("turn", i === turn);
        is("waiting", got < all);
        is("partly", got > 0 && got < all);
        const total = more.includes(i) ? `more than ${all}` : all;
        if (partial[i]) partial[i].textContent = `+= ${got} of ${total}`;
      });
      const place = now ? `Step ${now} of ${last}` : "Whole picture";
      const heading = document.createElement("h2");
      heading.textContent = place;
      caption.replaceChildren(heading, ...texts[now].cloneNode(true).childNodes);
      slider.value = now;
      slider.setAttribute("aria-valuetext", place);
      find("place").textContent = `${now} of ${last}`;
      find("back").setAttribute("aria-disabled", now === 0);
      find("next").setAttribute("aria-disabled", now === last);
      view.follow(now ? boxes[turn] : null);
    }

    function go(k) {
      show(k);
      const address = new URL(location.href);
      address.hash = `${figure.dataset.link}${now}`;
      try {
        history.replaceState(history.state, "", address);
      } catch {
        // a frame without an address of its own, as in some notebooks
      }
    }

    function follow() {
      const found = link.exec(location.hash);
      if (found) show(Number(found[1]));
    }

    const keys = {
      ArrowLeft: () => go(now - 1),
      ArrowRight: () => go(now + 1),
      Home: () => go(0),
      End: () => go(last),
    };
    (alone ? document : figure).addEventListener("keydown", (event) => {
      const field = event.target.closest("input, textarea, select, [contenteditable]");
      const modified = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
      if (!Object.hasOwn(keys, event.key) || field || modified) return;
      event.preventDefault();
      event.stopPropagation();
      keys[event.key]();
    });
    find("start").addEventListener("click", keys.Home);
    find("back").addEventListener("click", keys.ArrowLeft);
    find("next").addEventListener("click", keys.ArrowRight);
    slider.addEventListener("input", () => go(Number(slider.value)));
    addEventListener("hashchange", follow);
    const list = find("all");
    list.open = false; // the captions say the same; on paper all of it is wanted
    addEventListener("beforeprint", () => (list.open = true));
    show(0);
    follow();
  }

  // Drag to pan, buttons or Ctrl and the wheel to zoom; a plain wheel scrolls as ever.
  function zoomable(figure, svg) {
    const stage = figure.querySelector(".stage");
    const { width, height } = svg.viewBox.baseVal;
    const calm = matchMedia("(prefers-reduced-motion: reduce)");
    let scale = 0;
    let fitted = true;
    let readable = 0.7; // at first; what would be less than half of its size overflows
    let shown = null; // the box that has to be in sight
    let held = null; // where the mouse holds the picture

    function zoom(wanted, at = middle(stage)) {
      const before = svg.getBoundingClientRect();
      scale = Math.max(0.05, Math.min(4, wanted));
      svg.style.width = `${width * scale}px`;
      svg.style.height = `${height * scale}px`;
      const after = svg.getBoundingClientRect();
      const factor = after.width / before.width; // what is at this place stays there
      const left = after.left + (at.x - before.left) * factor - at.x;
      const top = after.top + (at.y - before.top) * factor - at.y;
      stage.scrollBy({ left, top, behavior: "instant" });
    }
    function fit() {
      const whole = Math.min(stage.clientWidth / width, stage.clientHeight / height, 1);
      if (whole === 0) return; // a hidden tab has no room
      zoom(whole < 0.5 ? readable || whole : whole);
      stage.scrollTo((width * scale - stage.clientWidth) / 2, 0);
      follow(shown);
    }
    function change(factor, at) {
      fitted = false;
      zoom(scale * factor, at);
    }
    function follow(box) {
      shown = box;
      if (!box) return;
      const [view, spot] = [stage, box].map((x) => x.getBoundingClientRect());
      const seen = spot.left >= view.left && spot.right <= view.right;
      if (seen && spot.top >= view.top && spot.bottom <= view.bottom) return;
      stage.scrollBy({
        left: middle(box).x - middle(stage).x,
        top: middle(box).y - middle(stage).y,
        behavior: calm.matches ? "instant" : "smooth",
      });
    }

    stage.style.setProperty("--tall", `${height}px`);
    stage.style.aspectRatio = `${width} / ${height}`;
    new ResizeObserver(() => fitted && fit()).observe(stage);
    figure.querySelector(".fit").addEventListener("click", () => {
      [fitted, readable] = [true, 0];
      fit();
    });
    figure.querySelector(".in").addEventListener("click", () => change(1.25));
    figure.querySelector(".out").addEventListener("click", () => change(0.8));
    const wheel = (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      change(2 ** (-event.deltaY / 400), { x: event.clientX, y: event.clientY });
    };
    stage.addEventListener("wheel", wheel, { passive: false });
    stage.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse" && event.button === 0 && event.target !== stage)
        held = [event.clientX, event.clientY];
    });
    stage.addEventListener("pointermove", (event) => {
      if (!held) return;
      if (event.buttons === 0) return void (held = null); // let go, here or elsewhere
      stage.setPointerCapture(event.pointerId);
      stage.scrollBy(held[0] - event.clientX, held[1] - event.clientY);
      held = [event.clientX, event.clientY];
    });
    return { follow };
  }

  function middle(element) {
    const { left, right, top, bottom } = element.getBoundingClientRect();
    return { x: (left + right) / 2, y: (top + bottom) / 2 };
  }

  // Pointing at a box tells its details. One box is a tab stop; up and down go on.
  function watch(figure, svg, boxes, output) {
    const details = figure.querySelector(".details");
    figure.tabIndex = -1; // a click gives it the keyboard
    svg.setAttribute("role", "group"); // an image would hide the boxes inside
    boxes.forEach((box, i) => {
      box.setAttribute("role", "img");
      box.setAttribute("tabindex", i === output ? 0 : -1);
    });
    const tell = (event) => {
      const box = event.target.closest("[data-box]");
      if (!box) return;
      const lines = box.querySelector("title").textContent.split("\n");
      details.textContent = lines.join(" · ");
      if (event.type === "pointerover") return;
      for (const other of boxes) other.setAttribute("tabindex", other === box ? 0 : -1);
    };
    svg.addEventListener("pointerover", tell);
    svg.addEventListener("focusin", tell);
    svg.addEventListener("keydown", (event) => {
      const way = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      const next = boxes[boxes.indexOf(event.target.closest("[data-box]")) + way];
      if (!next) return;
      event.preventDefault();
      event.stopPropagation();
      next.focus();
    });
  }
})();
