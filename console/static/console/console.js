// What forms and links cannot do alone: copy, reveal in place, dialogs, the theme without a reload, and polling that rests in hidden tabs.
"use strict";

(() => {
  const dialog = () => document.getElementById("dialog");
  const announce = (text) => {
    const region = document.getElementById("announcer");
    if (region) region.textContent = text;
  };

  // Copy

  async function writeClipboard(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    // Over plain HTTP there is no clipboard API; a selected text area and the old command still work.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    (dialog()?.open ? dialog() : document.body).append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) throw new Error("The browser refused to copy.");
  }

  async function copyFrom(button) {
    try {
      if (!button.dataset.copy && !await fetchSecrets(button)) return;
      await writeClipboard(button.dataset.copy);
    } catch {
      announce("The browser refused to copy. Try again, or select the text and copy it.");
      return;
    }
    button.classList.add("copied");
    announce(`${button.dataset.copied || "Copied"}.`);
    clearTimeout(button.copiedTimer);
    button.copiedTimer = setTimeout(() => {
      button.classList.remove("copied");
      announce("");
    }, 2000);
    button.focus();
  }

  // Reveal: the page holds no secret before it is asked for. Asking is a form, sent here without leaving the page.

  const secrets = new Map(); // by trigger id: what was asked for, or shown once by the server, while this page is open
  const rowsOf = (id) => [...document.querySelectorAll(`[data-trigger="${id}"]`)];

  for (const form of document.querySelectorAll("form[data-known]")) {
    const { trigger } = form.closest("[data-trigger]").dataset;
    const buttons = rowsOf(trigger).flatMap((row) => [...row.querySelectorAll("[data-copy-of]")]);
    secrets.set(trigger, Object.fromEntries(buttons.map((button) => [button.dataset.copyOf, button.dataset.copy])));
  }

  function fillSecrets() {
    for (const [trigger, known] of secrets) {
      for (const row of rowsOf(trigger)) {
        for (const place of row.querySelectorAll("[data-fill]")) place.textContent = known[place.dataset.fill];
        for (const button of row.querySelectorAll("[data-copy-of]")) button.dataset.copy = known[button.dataset.copyOf];
      }
    }
    for (const trigger of chosen.keys()) applyChoices(trigger);
  }

  // The ways to call a trigger, rewritten by what is chosen beside them: direction, step, and whether curl waits for the outcome.
  // Without scripts they are right as they stand.

  const chosen = new Map(); // by trigger id, while this page is open: { type, step, wait }
  const written = new WeakMap(); // by an element without a secret: its text as the server wrote it

  function rewrite(text, way, { type, step, wait }) {
    const scaled = type ? text.replace(/type=scale_(?:out|in)&step=\d+/, `type=${type}&step=${step}`) : text;
    return wait && way === "curl" ? scaled.replace(/'$/, "&wait=300'") : scaled;
  }

  function applyChoices(trigger) {
    const choices = chosen.get(trigger);
    const known = secrets.get(trigger);
    const textOf = (element, name, text) => {
      if (name) return known?.[name];
      if (!written.has(element)) written.set(element, text);
      return written.get(element);
    };
    for (const row of rowsOf(trigger)) {
      for (const control of row.querySelectorAll("[data-choice]")) {
        if (control.type === "checkbox") control.checked = choices.wait;
        else if (control !== document.activeElement) control.value = choices[control.dataset.choice];
      }
      for (const way of row.querySelectorAll("[data-way]")) {
        for (const code of way.querySelectorAll("pre code")) {
          const text = textOf(code, code.dataset.fill, code.textContent);
          if (text) code.textContent = rewrite(text, way.dataset.way, choices);
        }
        for (const button of way.querySelectorAll("[data-copy]:not([data-copy=''])")) {
          const text = textOf(button, button.dataset.copyOf, button.dataset.copy);
          if (text) button.dataset.copy = rewrite(text, way.dataset.way, choices);
        }
      }
      for (const example of row.querySelectorAll("[data-example]")) {
        const { unit, service } = example.dataset;
        const [does, preposition] = choices.type === "scale_in" ? ["removes", "from"] : ["adds", "to"];
        example.textContent = `${does} ${choices.step} ${unit}${choices.step === "1" ? "" : "s"} ${preposition} ${service}`;
      }
    }
  }

  document.addEventListener("input", ({ target }) => {
    if (!target.matches("[data-choice]") || !target.checkValidity()) return;
    const { trigger } = target.closest("[data-trigger]").dataset;
    const controls = [...target.closest("[data-trigger]").querySelectorAll("[data-choice]")];
    const values = controls.map((control) => [control.dataset.choice, control.type === "checkbox" ? control.checked : control.value]);
    chosen.set(trigger, Object.fromEntries(values));
    applyChoices(trigger);
  });

  function showSecret(row, shown) {
    row.classList.toggle("revealed", shown);
    row.querySelector("[data-reveal] [aria-pressed]")?.setAttribute("aria-pressed", String(shown));
  }

  // False where there is nothing to show: the reader was signed out, or the trigger was deleted, or the right to see it was withdrawn.
  async function fetchSecrets(element) {
    const { trigger } = element.closest("[data-trigger]").dataset;
    if (secrets.has(trigger)) return true;
    const form = rowsOf(trigger).map((row) => row.querySelector("form[data-reveal]")).find(Boolean);
    const response = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
    if (!response.ok || response.redirected) {
      window.location.reload();
      return false;
    }
    secrets.set(trigger, await response.json());
    fillSecrets();
    return true;
  }

  async function toggleReveal(form) {
    const row = form.closest("[data-trigger]");
    const shown = !row.classList.contains("revealed");
    try {
      if (!await fetchSecrets(form)) return;
    } catch {
      announce("Cannot reach the console. Try again in a moment.");
      return;
    }
    for (const other of rowsOf(row.dataset.trigger)) showSecret(other, shown);
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-reveal]")) return;
    event.preventDefault();
    toggleReveal(event.target);
  });

  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy], [data-copy-of]");
    if (copy) copyFrom(copy);
    const closed = event.target.closest("[data-close]")?.closest("dialog[open]");
    if (closed) {
      event.preventDefault();
      closed.close();
    }
    const theme = event.target.closest("button[name=theme]");
    if (theme) {
      event.preventDefault();
      chooseTheme(theme);
    }
    // A menu that opened a dialog or copied something has done its work.
    const popover = event.target.closest(".menu[popover]");
    if (popover && event.target.closest("a, button")) popover.hidePopover();
  });

  // Menus: the arrow keys open the menu of a button and move in it. One that is opened by keyboard has the focus at once.

  const itemsOf = (menu) => [...menu.querySelectorAll(".menu-item")].filter((item) => item.checkVisibility());

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) return;
    const button = event.target.closest("button[popovertarget]");
    const menu = event.target.closest(".menu[popover]") ?? document.getElementById(button?.getAttribute("popovertarget"));
    if (!menu?.matches(".menu") || event.target.matches("input, select, textarea")) return;
    if (!menu.matches(":popover-open")) {
      if (!event.key.startsWith("Arrow")) return;
      button.click();
    }
    event.preventDefault();
    const items = itemsOf(menu);
    const index = items.indexOf(document.activeElement);
    const goals = { ArrowDown: (index + 1) % items.length, ArrowUp: Math.max(index, 0) - 1, Home: 0, End: -1 };
    items.at(goals[event.key])?.focus();
  });
  document.addEventListener("toggle", ({ target, newState }) => {
    const isByKeyboard = document.activeElement?.matches("button[popovertarget]:focus-visible");
    if (newState === "open" && target.matches(".menu") && isByKeyboard) itemsOf(target)[0]?.focus();
  }, true);

  // Tabs over panels that all stand in the page: arrow keys, Home and End move between them. Without scripts all panels show.

  function openTab(tab) {
    for (const other of tab.closest("[role=tablist]").querySelectorAll("[role=tab]")) {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls"))?.classList.toggle("is-open", other === tab);
    }
  }

  function chooseTab(tab) {
    openTab(tab);
    tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  document.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) chooseTab(tab);
  });

  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (!tab || event.altKey || event.ctrlKey || event.metaKey) return;
    const tabs = [...tab.closest("[role=tablist]").querySelectorAll("[role=tab]")];
    const index = tabs.indexOf(tab);
    const goals = { ArrowRight: (index + 1) % tabs.length, ArrowLeft: (index || tabs.length) - 1, Home: 0, End: tabs.length - 1 };
    if (!Object.hasOwn(goals, event.key)) return;
    event.preventDefault();
    tabs[goals[event.key]].focus();
    chooseTab(tabs[goals[event.key]]);
  });

  // Theme

  function chooseTheme(button) {
    document.documentElement.dataset.theme = button.value;
    document.cookie = `windlass_theme=${button.value}; path=/; max-age=31536000; samesite=lax`;
    for (const other of document.querySelectorAll("button[name=theme]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
  }

  // Selects that act at once, where without scripts a button stands beside them

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit();
  });

  // A registry's kind proposes its host, until somebody has typed another.

  document.addEventListener("change", ({ target }) => {
    if (!target.matches("select[data-hosts]")) return;
    const hosts = JSON.parse(target.dataset.hosts);
    const { host } = target.form.elements;
    if (!host.value || Object.values(hosts).includes(host.value)) host.value = hosts[target.value] ?? "";
    host.placeholder = JSON.parse(target.dataset.examples)[target.value] ?? "";
  });

  // Dialogs

  let opener = null; // has the focus again when the dialog or the palette closes

  document.addEventListener("htmx:afterSettle", (event) => { // before this htmx does not act on what stands in it
    const box = dialog();
    if (!box || event.detail.target !== box) return;
    if (!box.open) {
      opener = document.activeElement;
      box.showModal();
    }
    const choices = ["[aria-invalid=true]", "[autofocus]", "input:not([type=hidden]), select, textarea", "button[type=submit]"];
    choices.map((choice) => box.querySelector(choice)).find(Boolean)?.focus();
  });
  document.addEventListener("close", (event) => {
    if (event.target !== dialog()) return;
    event.target.replaceChildren();
    opener?.focus({ preventScroll: true });
  }, true);

  // Palette: a combobox whose focus stays in its field; the chosen option is the active descendant.

  const palette = () => document.getElementById("palette");
  const paletteInput = () => document.getElementById("palette-input");
  const paletteOptions = () => [...palette().querySelectorAll("[role=option]")];
  let chooseSoon = false; // Enter came before the answer to what was typed

  for (const key of document.querySelectorAll("[data-palette-key]")) {
    if (/Mac|iPhone|iPad/.test(navigator.platform)) key.textContent = "⌘K";
  }

  function openPalette() {
    const box = palette();
    if (!box || dialog()?.open) return;
    opener = document.activeElement;
    box.showModal();
    paletteInput().focus();
    window.htmx?.trigger(paletteInput(), "ask");
  }

  function selectOption(index) {
    const options = paletteOptions();
    const chosen = options[(index + options.length) % options.length];
    options.forEach((option, number) => {
      option.id = `palette-option-${number}`;
      option.setAttribute("aria-selected", String(option === chosen));
    });
    paletteInput().setAttribute("aria-expanded", String(options.length > 0));
    if (chosen) paletteInput().setAttribute("aria-activedescendant", chosen.id);
    else paletteInput().removeAttribute("aria-activedescendant");
    if (chosen === options[0]) document.getElementById("palette-results").scrollTop = 0; // with its group's name
    else chosen?.scrollIntoView({ block: "nearest" });
  }

  const selectedIndex = () => paletteOptions().findIndex((option) => option.getAttribute("aria-selected") === "true");
  const isAnswered = () => palette().querySelector("[data-query]")?.dataset.query === paletteInput().value.trim();

  function chooseOption() {
    chooseSoon = !isAnswered() || selectedIndex() < 0;
    if (!chooseSoon) paletteOptions()[selectedIndex()]?.click();
  }

  const paletteKeys = {
    ArrowDown: () => selectOption(selectedIndex() + 1),
    ArrowUp: () => selectOption(selectedIndex() - 1),
    Enter: chooseOption,
  };

  document.addEventListener("keydown", (event) => {
    const box = palette();
    if (!box || event.isComposing) return;
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      event.preventDefault();
      if (box.open) box.close();
      else openPalette();
    } else if (box.open && event.key === "Tab") {
      event.preventDefault();
      const other = document.activeElement === paletteInput() ? box.querySelector("[data-close]") : paletteInput();
      other.focus();
    } else if (event.target === paletteInput() && Object.hasOwn(paletteKeys, event.key)) {
      event.preventDefault();
      paletteKeys[event.key]();
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target === paletteInput()) chooseSoon = false;
  });
  document.addEventListener("mousedown", (event) => {
    if (event.target.closest("#palette [role=option]")) event.preventDefault(); // the focus stays in the field
  });
  document.addEventListener("click", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (plain && event.target.closest("[data-palette-open]") && palette()) {
      event.preventDefault();
      openPalette();
    }
    if (event.target === palette() || event.target.closest("#palette [role=option]")) palette().close(); // its backdrop is itself
  });
  document.addEventListener("htmx:afterSettle", (event) => { // before this an option is not more than its link
    if (event.detail.target.id !== "palette-results") return;
    if (!palette().open) {
      event.detail.target.replaceChildren();
      return;
    }
    selectOption(0);
    const count = paletteOptions().length;
    document.getElementById("palette-count").textContent = count === 1 ? "1 found" : `${count} found`;
    if (chooseSoon && isAnswered()) chooseOption();
  });
  document.addEventListener("close", (event) => {
    if (event.target !== palette()) return;
    paletteInput().value = "";
    document.getElementById("palette-results").replaceChildren();
    document.getElementById("palette-count").textContent = "";
    selectOption(0);
    chooseSoon = false;
    opener?.focus();
  }, true);

  // Single keys: `?` lists all keys, `/` searches. They do nothing while somebody types, in a dialog, or where they are turned off.

  const KEYS_OFF = "windlass-keys-off";
  const TYPED_IN = "input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]";

  const singleKeys = {
    "?": () => document.querySelector("[data-keys-open]")?.click(),
    "/": () => {
      const field = document.querySelector("main input[type=search]");
      if (field?.checkVisibility()) field.select();
      if (document.activeElement !== field) openPalette();
    },
  };

  document.addEventListener("keydown", (event) => {
    if (!Object.hasOwn(singleKeys, event.key) || event.defaultPrevented || event.isComposing || event.repeat) return;
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest(TYPED_IN)) return;
    if (document.querySelector("dialog[open]") || localStorage.getItem(KEYS_OFF)) return;
    event.preventDefault();
    singleKeys[event.key]();
  });

  const showKeysSwitch = () => {
    for (const box of document.querySelectorAll("[data-keys-switch]")) box.checked = !localStorage.getItem(KEYS_OFF);
  };
  showKeysSwitch();
  document.addEventListener("htmx:afterSettle", showKeysSwitch);
  document.addEventListener("change", ({ target }) => {
    if (!target.matches("[data-keys-switch]")) return;
    if (target.checked) localStorage.removeItem(KEYS_OFF);
    else localStorage.setItem(KEYS_OFF, "1");
  });

  // A session that ended answers with the login page: show it whole instead of swapping it into a corner.

  document.addEventListener("htmx:beforeSwap", (event) => {
    const login = document.body.dataset.login;
    if (login && new URL(event.detail.xhr.responseURL).pathname === login) {
      event.detail.shouldSwap = false;
      window.location.reload();
    }
  });

  // One lost request is nothing; two in a row are said, until one gets through. A poll that has no answer in time is said at once:
  // a console that hangs loses no request. What a person sends has no end, since breaking it off would leave open what it did.

  const PATIENCE = 7000; // milliseconds, more than a page waits for an engine
  let lost = 0;
  const countLost = ({ type }) => {
    lost += type === "htmx:timeout" ? 2 : 1;
    document.body.classList.toggle("offline", lost > 1);
  };
  document.addEventListener("htmx:timeout", countLost);
  document.addEventListener("htmx:sendError", countLost);
  document.addEventListener("htmx:responseError", countLost);
  document.addEventListener("htmx:afterOnLoad", () => {
    lost = 0;
    document.body.classList.remove("offline");
  });

  // Polling: an element with data-poll (milliseconds) gets the event `poll`, except while its page is hidden or somebody works in
  // it. The poll says which state of the element is shown; where that is still so, the answer has no body and nothing is swapped.

  const STATE = "Windlass-State";
  const states = new WeakMap(); // by polled element
  const polled = new WeakMap(); // when it was asked for last
  const awaited = new WeakMap(); // by target: a request that somebody made, which a poll must not forestall
  let pressed = null; // a press and its release must meet the same element

  const isPoll = (detail) => (detail.requestConfig ?? detail).triggeringEvent?.type === "poll";
  const isInUse = (element) => {
    const selection = document.getSelection();
    return element.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")
      || element.querySelector(":popover-open, [data-rests]:hover") !== null
      || pressed !== null && element.contains(pressed)
      || selection !== null && !selection.isCollapsed && element.contains(selection.anchorNode);
  };

  function poll(element) {
    polled.set(element, Date.now());
    window.htmx?.trigger(element, "poll");
  }

  setInterval(() => {
    if (document.hidden) return;
    const now = Date.now();
    for (const element of document.querySelectorAll("[data-poll]")) {
      if (!polled.has(element)) polled.set(element, now);
      else if (now - polled.get(element) >= Number(element.dataset.poll) && !isInUse(element)) poll(element);
    }
  }, 250);

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    refreshTimes();
    for (const element of document.querySelectorAll("[data-poll]")) if (!isInUse(element)) poll(element);
  });

  document.addEventListener("pointerdown", (event) => { pressed = event.target; });
  for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => { pressed = null; });

  // What an element shows, without what scripts and the passing of time make of it.
  function describeShown(element) {
    const copy = element.cloneNode(true);
    copy.classList.remove("htmx-request");
    copy.removeAttribute("hx-swap-oob");
    for (const time of copy.querySelectorAll("time")) time.replaceWith(time.dateTime);
    for (const token of copy.querySelectorAll("[name=csrfmiddlewaretoken]")) token.remove();
    return copy.outerHTML;
  }

  function isShown(html) {
    const piece = document.createElement("template");
    piece.innerHTML = html;
    return [...piece.content.children].every((fresh) => {
      const shown = document.getElementById(fresh.id);
      return shown !== null && describeShown(shown) === describeShown(fresh);
    });
  }

  document.addEventListener("htmx:configRequest", ({ detail }) => { // the header also says that nobody made this request
    if (!isPoll(detail)) return;
    detail.headers[STATE] = states.get(detail.target) ?? "";
    detail.timeout = PATIENCE;
  });
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    if (!isPoll(detail)) awaited.set(detail.target, detail.xhr);
  });
  document.addEventListener("htmx:beforeSwap", ({ detail }) => { // before the other listeners, which keep what a swap would lose
    if (!detail.shouldSwap || !isPoll(detail)) return;
    const isAwaited = [1, 2, 3].includes(awaited.get(detail.target)?.readyState);
    if (isAwaited || isInUse(detail.target)) {
      detail.shouldSwap = false;
    } else if (isShown(detail.serverResponse)) {
      detail.shouldSwap = false;
      keepState(detail.target, detail.xhr);
    }
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    keepState(document.getElementById(detail.target.id), detail.xhr);
    const other = document.getElementById(detail.target.dataset.refreshes); // it shows the same, and must not say another thing
    if (other) poll(other);
  });

  function keepState(element, xhr) {
    const state = xhr.getResponseHeader(STATE);
    if (element && state) states.set(element, state);
  }

  // Whoever searched or sorted hears how much there is now.

  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    if (isPoll(detail) || detail.target.id !== "list") return;
    const summary = document.querySelector("#list [data-summary]");
    if (summary) announce(summary.textContent.trim().replace(/\s+/g, " "));
  });

  // What the reader did in a swapped element stays: the focus, and behind a dialog or the palette what has it after them; what was
  // unfolded, revealed, opened or scrolled.

  const describe = (element) => element.id
    || [element.tagName, element.getAttribute("href"), element.getAttribute("aria-label"), element.textContent.trim()].join("|");
  const isCovered = () => Boolean(palette()?.open || dialog()?.open);
  const SCROLLED = ".table-wrap, .tabs, pre";
  const kept = new Map(); // by the id of a swapped element; pieces are swapped side by side

  document.addEventListener("htmx:beforeSwap", ({ detail: { shouldSwap, target } }) => {
    if (!shouldSwap || !target.id || target === dialog()) return;
    const active = isCovered() ? opener : document.activeElement;
    const scrolled = [...target.querySelectorAll(SCROLLED)].map((element) => element.scrollLeft);
    kept.set(target.id, {
      focused: target.contains(active) ? describe(active) : null,
      parts: [
        ...[...target.querySelectorAll("details[id]")].map(({ id, open }) => [id, (details) => { details.open = open; }]),
        ...[...target.querySelectorAll("[data-trigger].revealed")].map(({ id }) => [id, (row) => showSecret(row, true)]),
        ...[...target.querySelectorAll("[role=tab][aria-selected=true]")].map(({ id }) => [id, openTab]),
        [target.id, (element) => {
          element.querySelectorAll(SCROLLED).forEach((part, index) => { part.scrollLeft = scrolled[index] ?? 0; });
        }],
      ],
    });
  });

  function restoreParts({ detail }) {
    for (const [id, restore] of kept.get(detail.target.id)?.parts ?? []) {
      const element = document.getElementById(id);
      if (element) restore(element);
    }
  }

  function restoreFocus({ detail }) {
    const { focused } = kept.get(detail.target.id) ?? {};
    if (!focused) return;
    const candidates = document.getElementById(detail.target.id)?.querySelectorAll("a, button, summary, [tabindex]") ?? [];
    const found = [...candidates].find((element) => describe(element) === focused);
    if (isCovered()) opener = found ?? opener;
    else found?.focus({ preventScroll: true });
  }

  document.addEventListener("htmx:afterSwap", fillSecrets);
  document.addEventListener("htmx:afterSwap", restoreParts);
  document.addEventListener("htmx:afterSettle", restoreParts); // settling has set the server's classes
  document.addEventListener("htmx:afterSettle", restoreFocus);

  // Times: exact in the reader's zone, and in words as the server writes them (the tags `when` and `lasting`), kept fresh

  const ahead = (Date.parse(document.body.dataset.now) || Date.now()) - Date.now(); // milliseconds by which the server's clock is

  function describeAge(seconds) {
    const [, size, unit] = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]].find(([limit]) => seconds < limit);
    return `${Math.floor(seconds / size)} ${unit}`;
  }

  const describeWait = (seconds) => seconds > 0 ? `in ${describeAge(seconds)}` : "now";

  // Whoever chose it reads exact times everywhere, on a phone too, where nothing can be hovered over.

  const EXACT_TIMES = "windlass-exact-times";
  const days = new WeakMap(); // by an old time: the day that the server wrote

  function writeExactly(moment) {
    const year = moment.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
    const options = { ...year, month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" };
    return moment.toLocaleString(undefined, options);
  }

  function toggleExactTimes() {
    if (localStorage.getItem(EXACT_TIMES)) localStorage.removeItem(EXACT_TIMES);
    else localStorage.setItem(EXACT_TIMES, "1");
    refreshTimes();
  }

  document.addEventListener("click", ({ target }) => {
    if (target.closest("[data-exact-times]")) toggleExactTimes();
    else if (target.closest("time[data-words=when]") && !target.closest("a, button, summary, label")) toggleExactTimes();
  });

  function refreshTimes() {
    const isExact = Boolean(localStorage.getItem(EXACT_TIMES));
    document.body.classList.toggle("exact-times", isExact);
    for (const button of document.querySelectorAll("[data-exact-times]")) button.setAttribute("aria-pressed", String(isExact));
    for (const time of document.querySelectorAll("time[data-words]")) {
      if (time.dataset.words === "exact" || isExact && time.dataset.words !== "lasting") {
        if (!days.has(time)) days.set(time, time.textContent);
        setWords(time, writeExactly(new Date(time.dateTime)));
        continue;
      }
      const age = Math.max(Math.floor((Date.now() + ahead - Date.parse(time.dateTime)) / 1000), 0);
      if (time.dataset.words === "lasting") setWords(time, describeAge(age));
      else if (time.dataset.words === "until") setWords(time, describeWait(Math.ceil((Date.parse(time.dateTime) - Date.now() - ahead) / 1000)));
      else if (age < 5) setWords(time, "just now");
      else if (age < 30 * 86400) setWords(time, `${describeAge(age)} ago`);
      else if (days.has(time)) setWords(time, days.get(time));
    }
  }

  function setWords(time, words) {
    if (time.textContent !== words) time.textContent = words;
  }

  function localizeTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
    }
  }
  localizeTimes(document);
  refreshTimes();
  document.addEventListener("htmx:load", (event) => {
    localizeTimes(event.detail.elt);
    refreshTimes();
  });
  setInterval(() => {
    if (!document.hidden) refreshTimes();
  }, 1000);

  // What was just created has the focus, and is announced: it is shown with its secret this once. The browser, which goes to the
  // address's fragment, takes the focus away until the page has loaded.

  window.addEventListener("load", () => setTimeout(() => {
    const made = location.hash.startsWith("#trigger-") ? document.getElementById(location.hash.slice(1)) : null;
    if (!made || document.activeElement !== document.body) return;
    made.querySelector("a.strong")?.focus({ preventScroll: true });
    announce(document.querySelector(".messages")?.textContent.trim() ?? "");
  }, 300));
})();
