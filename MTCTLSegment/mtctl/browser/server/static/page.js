// What the page does by itself: keys, sliders, files that are dropped on it. Everything else is told to the server.
(function () {
  const SLIDERS = "[data-slide]";
  const trame = () => window.trame;
  // Every command says which case, and how far changed, this tab shows: one of a tab that lags behind is refused.
  const tell = (name, ...args) => trame().trigger(name, [trame().state.state.at, ...args]);

  // So do strokes: before the mouse is used in a view.
  const press = (event) => event.target.closest?.(".mt-view") && trame()?.state && tell("shows");
  document.addEventListener("pointerdown", press, true);

  // Sliders: one value is under way at a time, and the last one always arrives; so the server is never flooded and the
  // picture follows the hand as fast as it can. While a hand is on a slider, the server does not move it.
  const waiting = new Map();
  const held = new Set();

  function slide(input) {
    const name = input.dataset.slide;
    const args = input.dataset.view ? [input.dataset.view, Number(input.value)] : [Number(input.value)];
    const key = name + (input.dataset.view || "");
    held.add(input);
    if (waiting.has(key)) {
      waiting.set(key, args);
      return;
    }
    waiting.set(key, null);
    send(name, key, args);
  }

  async function send(name, key, args) {
    try {
      while (args) {
        await tell(name, ...args);
        args = waiting.get(key);
        waiting.set(key, null);
      }
    } finally {
      waiting.delete(key);
    }
  }

  function place(input) {
    if (held.has(input)) return;
    const state = trame().state.state;
    const name = input.dataset.slide;
    const value = name === "slice" ? state.slices?.[input.dataset.view]?.value : state[name];
    if (value !== undefined && Number(input.value) !== value) input.value = value;
  }

  const placeAll = () => document.querySelectorAll(SLIDERS).forEach(place);
  document.addEventListener("change", (event) => {
    const input = event.target;
    if (input.matches?.(SLIDERS)) setTimeout(() => (held.delete(input), place(input)), 400);
  });
  setInterval(() => trame()?.state && placeAll(), 150);

  // Keys.
  const ARROWS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 };
  let view = "Axial";
  document.addEventListener("mouseover", (event) => {
    const over = event.target.closest?.(".mt-view")?.dataset.view;
    if (over && over !== "ThreeD") view = over;
  });
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (!trame() || target.matches?.("input:not([type=range]), textarea")) {
      if (event.key === "Escape") ask("mt-ask", false);
      return;
    }
    if (event.altKey || event.metaKey || (event.ctrlKey && !"zy".includes(event.key.toLowerCase()))) return;
    const state = trame().state.state;
    const keys = {
      k: () => tell("keep"),
      c: () => tell("change"),
      n: () => tell("next_question"),
      p: () => tell("previous_question"),
      i: () => waitFor("inside"),
      o: () => waitFor("outside"),
      d: () => tell("tool", state.tool === "paint" ? "look" : "paint"),
      e: () => tell("tool", state.tool === "erase" ? "look" : "erase"),
      z: () => tell("undo"),
      y: () => tell("redo"),
      h: () => tell("heatmap", !state.heatmap),
      f: () => tell("fit"),
      w: () => list(),
      Escape: () => (list(false), ask("mt-taking", false), state.questions.click ? waitFor("") : tell("tool", "look")),
    };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in ARROWS) tell("step", view, ARROWS[key]);
    else if (key in keys) keys[key]();
    else return;
    event.preventDefault();
    if (target.matches?.("button, input[type=range]")) target.blur();
  });

  // Clicks that are answers: a pane over each slice takes them, so that the view beneath does not move.
  function waitFor(side) {
    tell("wait_for_click", trame().state.state.questions.click === side ? "" : side);
  }
  function aim(event) {
    const pane = event.currentTarget.getBoundingClientRect();
    const view = event.currentTarget.closest(".mt-view").dataset.view;
    tell("click", view, (event.clientX - pane.left) / pane.width, (event.clientY - pane.top) / pane.height);
  }
  function turn(event) {
    event.preventDefault();
    tell("step", event.currentTarget.closest(".mt-view").dataset.view, event.deltaY < 0 ? 1 : -1);
  }

  // The work list and the questions before a case is rejected or taken over: this tab's alone.
  const open = (id, shown) => document.getElementById(id)?.classList.toggle("mt-open", shown);
  function list(shown) {
    if (open("mt-list", shown)) tell("refresh");
  }
  function ask(id, shown) {
    open(id, shown);
    if (shown) document.querySelector(`#${id} input, #${id} button[type=submit]`).focus();
  }
  function takeOver() {
    tell("take_over");
    ask("mt-taking", false);
    return false;
  }
  function reject(form) {
    tell("reject_case", form.reason.value);
    form.reset();
    ask("mt-ask", false);
    return false;
  }
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".mt-pick")) list(false);
  });

  // A scan that is dropped: its bytes go to the server, which takes one at a time.
  let depth = 0;
  const carries = (event) => event.dataTransfer?.types?.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (carries(event)) open("mt-drop", ++depth > 0);
  });
  document.addEventListener("dragleave", (event) => {
    if (carries(event)) open("mt-drop", --depth > 0);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    open("mt-drop", (depth = 0) > 0);
    const files = [...(event.dataTransfer?.files || [])];
    if (files.length === 1) take(files[0]);
    else if (files.length) say("Drop one file at a time.");
  });

  // What this tab alone has to say.
  function say(text, good) {
    const said = document.getElementById("mt-said");
    said.querySelector("span").textContent = text;
    said.classList.toggle("mt-good", Boolean(good));
    open("mt-said", Boolean(text));
  }

  function take(file) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("PUT", "scans/" + encodeURIComponent(file.name));
      request.upload.onprogress = (event) => {
        const share = event.total ? Math.round((100 * event.loaded) / event.total) : 0;
        say(share < 100 ? `Taking in ${file.name}: ${share} %` : `Reading ${file.name} …`, true);
      };
      request.onload = () => {
        if (request.status === 200) say("");
        else say(request.responseText.trim() || `Refused (${request.status})`);
        resolve(request.status);
      };
      request.onerror = () => (say("The scan could not be sent: it is too large, or the reviewer has ended."), resolve(0));
      request.send(file);
    });
  }

  window.mtctl = { slide, list, ask, reject, takeOver, say, aim, turn };
})();
