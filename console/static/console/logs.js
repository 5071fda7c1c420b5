// Logs: following, searching and showing them without freezing the page. Only the lines in sight are in the document.
"use strict";

(() => {
  const PAUSE = 1000; // milliseconds from an answer to the next question
  const LONGEST_PAUSE = 15_000; // where the engine does not answer
  const TYPING = 150;
  const LINE_HEIGHT = 20; // pixels, as logs.css has it
  const CHARACTER_WIDTH = 7.5; // pixels, about: what is in sight is measured
  const MARGIN = 40; // lines above and below those in sight
  const LATE = 2000; // lines at the end among which one that comes late finds its place
  const KEPT = "windlass_logs"; // where the browser keeps the reader's choices
  const panels = new Set();

  const pad = (number, digits = 2) => String(number).padStart(digits, "0");
  const count = (number) => `${number.toLocaleString("en")} ${number === 1 ? "line" : "lines"}`;
  function showTime(text) {
    const time = new Date(`${text.slice(0, 23)}Z`);
    const day = `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`;
    return `${day} ${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}.${pad(time.getMilliseconds(), 3)}`;
  }
  function makeElement(tag, className, text = "") {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    return element;
  }

  // Heights that depend on the log are rules of a sheet made here: no element has a style of its own.
  function makeRules() {
    const sheet = new CSSStyleSheet();
    sheet.insertRule(".logs-lines { padding-top: 0; padding-bottom: 0; min-width: 0 }");
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    const { style } = sheet.cssRules[0];
    return {
      setSpace(above, below) {
        style.paddingTop = `${above}px`;
        style.paddingBottom = `${below}px`;
      },
      setWidth(characters) {
        style.minWidth = `${characters}ch`;
      },
      remove() {
        document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
      },
    };
  }

  // Where in a text the needle is. Where lower case has another length the places would be wrong.
  function findRanges(text, needle) {
    const lowered = text.toLowerCase();
    if (!needle || lowered.length !== text.length) return [];
    const ranges = [];
    for (let at = lowered.indexOf(needle); at >= 0; at = lowered.indexOf(needle, at + needle.length)) ranges.push([at, at + needle.length]);
    return ranges;
  }

  function fillText(place, line, needle) {
    const ranges = findRanges(line.text, needle);
    let offset = 0;
    for (const [classes, part] of line.segments) {
      const parent = classes ? makeElement("span", classes) : place;
      let done = 0;
      for (const [start, end] of ranges) {
        const from = Math.max(start - offset, done);
        const to = Math.min(end - offset, part.length);
        if (from >= to) continue;
        parent.append(part.slice(done, from), makeElement("mark", "", part.slice(from, to)));
        done = to;
      }
      parent.append(part.slice(done));
      if (parent !== place) place.append(parent);
      offset += part.length;
    }
  }

  class LogPanel {
    constructor(root) {
      const find = (name) => root.querySelector(`[data-logs-${name}]`);
      this.root = root;
      this.form = root.querySelector("form");
      this.search = this.form.elements.namedItem("q");
      this.view = find("view");
      this.box = find("lines");
      const parts = ["notices", "empty", "newer", "count", "state", "follow", "download"];
      this.parts = Object.fromEntries(parts.map((name) => [name, find(name)]));
      this.most = Number(root.dataset.most);
      this.rules = makeRules();
      this.colours = new Map();
      this.restoreToggles();
      this.listen();
      this.restart();
    }

    listen() {
      this.form.addEventListener("submit", (event) => event.preventDefault());
      this.form.addEventListener("change", ({ target }) => {
        if (target.matches("[data-logs-toggle]")) this.setToggles();
        else if (target.name === "stream") this.filter();
        else if (target.tagName === "SELECT") this.restart();
      });
      this.search.addEventListener("input", () => {
        clearTimeout(this.typing);
        this.typing = setTimeout(() => this.filter(), TYPING);
      });
      this.parts.follow.addEventListener("click", () => this.setFollowing(!this.isFollowing));
      this.parts.newer.addEventListener("click", () => {
        this.goToEnd();
        this.view.focus({ preventScroll: true });
      });
      this.view.addEventListener("scroll", () => {
        this.isAtEnd = this.view.scrollHeight - this.view.scrollTop - this.view.clientHeight < LINE_HEIGHT;
        if (this.isAtEnd) this.newer = 0;
        this.renderSoon();
      });
      this.view.addEventListener("keydown", (event) => {
        if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        this.search.focus();
      });
      this.resized = new ResizeObserver(() => this.relayOut());
      this.resized.observe(this.view);
    }

    stop() {
      panels.delete(this);
      clearTimeout(this.timer);
      clearTimeout(this.typing);
      cancelAnimationFrame(this.frame);
      this.asking?.abort();
      this.resized.disconnect();
      this.rules.remove();
    }

    // Asking

    restart() {
      this.asking?.abort();
      this.asking = null;
      Object.assign(this, { lines: [], shown: [], places: null, rendered: null, cursor: null, dropped: 0, newer: 0, failures: 0, widest: 0 });
      Object.assign(this, { isRead: false, isMore: true, isAtEnd: true, problem: "" });
      this.linkDownload();
      this.describe();
      this.ask();
    }

    linkDownload() {
      const query = this.query(["since", "only", "stream"]);
      query.set("times", "1");
      this.parts.download.href = `${this.root.dataset.download}?${query}`;
    }

    query(names) {
      const values = new FormData(this.form);
      return new URLSearchParams(names.map((name) => [name, values.get(name) ?? ""]).filter(([, value]) => value));
    }

    get isFollowing() {
      return this.parts.follow.getAttribute("aria-pressed") === "true";
    }

    setFollowing(isOn) {
      this.parts.follow.setAttribute("aria-pressed", String(isOn));
      if (isOn) {
        this.goToEnd();
        this.ask();
      }
      this.describe();
    }

    async ask() {
      clearTimeout(this.timer);
      if (this.asking || document.hidden && this.isRead) return; // a page that is seen again asks
      this.asking = new AbortController();
      const { signal } = this.asking;
      const query = this.query(["since", "only"]);
      const headers = { Accept: "application/json" };
      if (this.cursor) {
        query.set("cursor", this.cursor);
        headers["Windlass-State"] = ""; // nobody made this request: it keeps no session alive
      }
      let answer = { problem: "Cannot reach the console." };
      try {
        const response = await fetch(`${this.root.dataset.logs}?${query}`, { signal, headers });
        if (response.redirected || response.status === 403 || response.status === 404) {
          window.location.reload(); // signed out, or it no longer exists
          return;
        }
        answer = await response.json();
      } catch {
        if (signal.aborted) return;
      }
      if (signal.aborted) return;
      this.asking = null;
      if (this.root.isConnected) this.take(answer);
    }

    take({ sources = [], lines = [], cursor = this.cursor, more = false, notices = null, problem = "" }) {
      Object.assign(this, { cursor, problem, isMore: more, isRead: true, failures: problem ? this.failures + 1 : 0 });
      if (notices) this.showNotices(problem ? [] : notices);
      for (const { name, colour } of sources) {
        if (!this.colours.has(name)) this.colours.set(name, colour);
      }
      this.view.classList.toggle("with-names", this.colours.size > 1);
      this.append(lines.map(([time, source, isError, content]) => {
        const segments = typeof content === "string" ? [["", content]] : content;
        return { time, name: sources[source].name, isError: isError === 1, segments, text: segments.map(([, part]) => part).join(""), height: 0 };
      }));
      this.pause = problem ? Math.min(PAUSE * 2 ** this.failures, LONGEST_PAUSE) : more ? 0 : PAUSE;
      this.describe();
      if (more || this.isFollowing) this.timer = setTimeout(() => this.ask(), this.pause);
    }

    // Keeping

    append(added) {
      const newest = this.lines.at(-1)?.time ?? "";
      const isLate = added.some((line) => line.time < newest); // one log is read a little after the other
      for (const line of added) {
        this.lines.push(line);
        this.widest = Math.max(this.widest, line.text.length);
      }
      if (isLate) {
        const end = this.lines.splice(Math.max(this.lines.length - added.length - LATE, 0));
        end.sort((one, other) => (one.time < other.time ? -1 : Number(one.time > other.time)));
        this.lines.push(...end);
      }
      const found = added.filter(this.matcher());
      if (!this.isAtEnd) this.newer += found.length;
      if (isLate) this.shown = this.lines.filter(this.matcher());
      else for (const line of found) this.shown.push(line);
      this.places = null;
      const gone = this.drop();
      this.rules.setWidth(this.widest);
      this.render(isLate || gone || this.isAtEnd && found.length > 0 || !this.rendered);
    }

    // The oldest lines beyond what a page keeps. Return whether a line that was shown was dropped.
    drop() {
      const excess = this.lines.length - this.most;
      if (excess <= 0) return false;
      this.dropped += excess;
      const gone = new Set(this.lines.splice(0, excess));
      const kept = this.shown.findIndex((line) => !gone.has(line));
      const removed = kept < 0 ? this.shown.length : kept;
      const height = this.placeOf(removed);
      this.shown.splice(0, removed);
      this.places = null;
      if (!this.isAtEnd) this.view.scrollTop -= height;
      return removed > 0;
    }

    matcher() {
      const { needle } = this;
      const stream = this.form.elements.namedItem("stream").value;
      return (line) => (!stream || line.isError === (stream === "stderr")) && (!needle || line.text.toLowerCase().includes(needle));
    }

    get needle() {
      return this.search.value.trim().toLowerCase();
    }

    filter() {
      this.shown = this.lines.filter(this.matcher());
      this.places = null;
      this.newer = 0;
      this.linkDownload();
      this.goToEnd();
    }

    // Showing

    get isWrapped() {
      return this.view.classList.contains("is-wrapped");
    }

    // Where a line begins, in pixels from the first one; of the number of all lines: their height.
    placeOf(index) {
      if (!this.isWrapped) return index * LINE_HEIGHT;
      this.places ??= this.addHeights();
      return this.places[index];
    }

    addHeights() {
      const places = new Float64Array(this.shown.length + 1);
      const columns = Math.max(Math.floor(this.view.clientWidth / CHARACTER_WIDTH) - 20, 20);
      this.shown.forEach((line, index) => {
        places[index + 1] = places[index] + (line.height || LINE_HEIGHT * Math.max(Math.ceil(line.text.length / columns), 1));
      });
      return places;
    }

    indexAt(place) {
      if (!this.isWrapped) return Math.max(Math.min(Math.floor(place / LINE_HEIGHT), this.shown.length - 1), 0);
      let [low, high] = [0, Math.max(this.shown.length - 1, 0)];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (this.placeOf(middle) <= place) low = middle;
        else high = middle - 1;
      }
      return low;
    }

    renderSoon() {
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => {
        this.render(false);
        this.describe();
      });
    }

    // Puts the lines in sight into the document: again where they are others than those that are there, or by force.
    render(isForced) {
      if (!this.isRead) return;
      const total = this.shown.length;
      const sight = this.view.clientHeight;
      const top = this.isAtEnd ? Math.max(this.placeOf(total) - sight, 0) : this.view.scrollTop;
      const first = this.indexAt(top);
      const last = Math.min(this.indexAt(top + sight) + 1, total);
      if (isForced || first < this.rendered[0] || last > this.rendered[1]) {
        const [from, to] = [Math.max(first - MARGIN, 0), Math.min(last + MARGIN, total)];
        const { needle } = this;
        this.box.replaceChildren(...this.shown.slice(from, to).map((line) => this.makeRow(line, needle)));
        this.rendered = [from, to];
        if (this.isWrapped) this.measure(first);
      }
      const [from, to] = this.rendered;
      this.rules.setSpace(this.placeOf(from), this.placeOf(total) - this.placeOf(to));
      if (this.isAtEnd) this.view.scrollTop = this.view.scrollHeight;
    }

    // Takes the true heights of what is in the document; the line `first` stays where it is in sight.
    measure(first) {
      const [before, [from]] = [this.placeOf(first), this.rendered];
      [...this.box.children].forEach((row, index) => {
        this.shown[from + index].height = row.offsetHeight;
      });
      this.places = null;
      const moved = this.placeOf(first) - before;
      if (moved && !this.isAtEnd) {
        const [begin, end] = this.rendered;
        this.rules.setSpace(this.placeOf(begin), this.placeOf(this.shown.length) - this.placeOf(end));
        this.view.scrollTop += moved;
      }
    }

    makeRow(line, needle) {
      const row = makeElement("div", line.isError ? "logs-line is-error" : "logs-line");
      const time = makeElement("time", "logs-time", showTime(line.time));
      time.dateTime = line.time;
      const name = makeElement("bdi", `logs-name name-${this.colours.get(line.name)}`, line.name);
      name.title = line.name;
      const text = makeElement("bdi", "logs-text");
      text.dir = "ltr";
      fillText(text, line, needle);
      row.append(time, name, text);
      return row;
    }

    relayOut() {
      for (const line of this.lines) line.height = 0;
      this.places = null;
      this.render(true);
    }

    goToEnd() {
      this.isAtEnd = true;
      this.newer = 0;
      this.render(true);
      this.describe();
    }

    // Choices that the browser remembers

    restoreToggles() {
      let kept = {};
      try {
        kept = JSON.parse(localStorage.getItem(KEPT)) ?? {};
      } catch {
        // nothing that can be read is nothing remembered
      }
      const isWide = window.matchMedia("(min-width: 681px)").matches;
      for (const toggle of this.form.querySelectorAll("[data-logs-toggle]")) {
        const name = toggle.dataset.logsToggle;
        toggle.checked = typeof kept[name] === "boolean" ? kept[name] : name === "with-times" && isWide;
        this.view.classList.toggle(name, toggle.checked);
      }
    }

    setToggles() {
      const kept = {};
      for (const toggle of this.form.querySelectorAll("[data-logs-toggle]")) {
        kept[toggle.dataset.logsToggle] = toggle.checked;
        this.view.classList.toggle(toggle.dataset.logsToggle, toggle.checked);
      }
      try {
        localStorage.setItem(KEPT, JSON.stringify(kept));
      } catch {
        // a browser that keeps nothing
      }
      this.relayOut();
    }

    // Saying

    showNotices(notices) {
      const key = JSON.stringify(notices);
      if (key === this.noticesKey) return;
      this.noticesKey = key;
      this.parts.notices.replaceChildren(...notices.map(([source, text]) => {
        const item = makeElement("li", "note note-warn");
        const words = document.createElement("span");
        words.append(makeElement("bdi", "strong", source), " cannot be read: ", makeElement("bdi", "", text));
        item.append(words);
        return item;
      }));
    }

    describe() {
      const { parts } = this;
      const isNarrow = this.shown.length !== this.lines.length;
      const all = isNarrow ? `${this.shown.length.toLocaleString("en")} of ${count(this.lines.length)}` : count(this.lines.length);
      parts.count.textContent = this.isRead ? all + (this.dropped ? `; older ones are left out, the page keeps ${this.most.toLocaleString("en")}` : "") : "";
      parts.empty.hidden = this.shown.length > 0 || !this.isRead && this.box.childElementCount > 0;
      parts.empty.textContent = this.describeEmptiness();
      parts.newer.hidden = this.newer === 0;
      parts.newer.textContent = `${count(this.newer).replace(" ", " new ")} ↓`;
      parts.state.classList.toggle("is-bad", Boolean(this.problem));
      parts.state.textContent = this.describeState();
    }

    describeEmptiness() {
      if (this.problem) return "Nothing can be read.";
      if (!this.isRead || this.isMore) return "Reading…";
      if (this.lines.length) return "No line matches.";
      return this.form.elements.namedItem("since").value ? "No output in that time." : "No output yet.";
    }

    describeState() {
      if (this.problem) return `${this.problem} ${this.isFollowing ? `Retrying in ${Math.round(this.pause / 1000)} s.` : ""}`;
      if (!this.isRead || this.isMore) return "Reading…";
      if (!this.isFollowing) return "Paused";
      return this.isAtEnd ? "Following" : "Following, held here: scroll to the end to see new lines";
    }
  }

  // A panel comes with its page or is swapped in, and goes when it is swapped out.

  function start(root) {
    const found = root.matches?.("[data-logs]") ? [root] : root.querySelectorAll("[data-logs]");
    for (const element of found) {
      if (![...panels].some((panel) => panel.root === element)) panels.add(new LogPanel(element));
    }
  }
  function stopGone() {
    for (const panel of panels) {
      if (!panel.root.isConnected) panel.stop();
    }
  }
  start(document);
  document.addEventListener("htmx:load", (event) => start(event.detail.elt));
  document.addEventListener("htmx:afterSwap", stopGone);
  document.addEventListener("visibilitychange", () => {
    stopGone();
    for (const panel of panels) {
      if (!document.hidden && (panel.isFollowing || panel.isMore)) panel.ask();
    }
  });
})();
