// The player: words follow the sound, what was heard is remembered, and everything has a key.
// One module, no framework; pages work without it, but for listening.

const HEARTBEAT_MS = 5000; // how often what was heard is sent
const CLOSE_S = 12; // seconds that the close waveform shows
const HEARD_SHARE = 0.9, HEARD_S = 60; // as qa/review/reports.py counts

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const clock = (seconds) => {
  const whole = Math.floor(seconds);
  const pad = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
};

/** Unite stretches [start, end] into ones that lie apart. */
const united = (stretches) => {
  const out = [];
  for (const [start, end] of [...stretches].sort((a, b) => a[0] - b[0])) {
    const last = out[out.length - 1];
    if (last && start <= last[1] + 0.001) last[1] = Math.max(last[1], end);
    else out.push([start, end]);
  }
  return out;
};

const isHeard = (stretches, start, end) =>
  stretches.reduce((sum, [a, b]) => sum + Math.max(0, Math.min(b, end) - Math.max(a, start)), 0) >=
  Math.min(HEARD_S, HEARD_SHARE * (end - start));

class Player {
  constructor(root) {
    this.root = root;
    this.sound = $("#sound", root);
    this.production = root.dataset.production;
    this.chapter = Number(root.dataset.chapter);
    this.digest = root.dataset.digest;
    this.duration = Number(root.dataset.duration);
    const data = JSON.parse($("#listen-data", root).textContent);
    this.windows = data.windows;
    this.moments = data.moments;
    this.heard = united(data.heard);
    this.notes = data.notes;
    this.words = $$("#words span", root);
    this.starts = this.words.map((word) => Number(word.dataset.t));
    this.said = -1; // index of the word being said
    this.from = null; // where the stretch being played began
    this.unsent = [];
    this.peaks = null;
    this.stop = new AbortController();
    this.markWords();
    this.listen();
    this.loadPeaks();
    this.seek(Number(root.dataset.at) || 0);
    this.timer = setInterval(() => this.beat(), HEARTBEAT_MS);
  }

  on(target, event, does) {
    target.addEventListener(event, does, { signal: this.stop.signal });
  }

  listen() {
    const { sound, root } = this;
    this.on(sound, "play", () => this.shownAs("❚❚", "Pause"));
    this.on(sound, "pause", () => {
      this.shownAs("▶", "Play");
      this.cut();
      this.beat();
    });
    this.on(sound, "seeking", () => this.cut(this.last));
    this.on(sound, "timeupdate", () => this.moved());
    this.on(sound, "ended", () => this.beat());
    this.on(sound, "error", () => ($("#where", root).textContent = "The audio cannot be played; load the page again."));
    this.on($("#play", root), "click", () => this.toggle());
    this.on($("#seek", root), "input", (event) => this.seek(Number(event.target.value)));
    this.on($("#speed", root), "change", (event) => (sound.playbackRate = Number(event.target.value)));
    for (const button of $$("[data-do]", root))
      this.on(button, "click", () => this.seek(sound.currentTime + (button.dataset.do === "back" ? -5 : 5)));
    this.on($("#words", root), "click", (event) => {
      const word = event.target.closest("span[data-t]");
      if (word) this.playFrom(Number(word.dataset.t));
    });
    this.on($("#tracks", root), "click", (event) => this.clicked(event));
    this.on(document, "visibilitychange", () => document.hidden && this.beat());
    this.on(window, "pagehide", () => this.beat());
    this.on(window, "resize", () => this.draw());
    this.on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.draw());
  }

  shownAs(sign, name) {
    const button = $("#play", this.root);
    button.textContent = sign;
    button.setAttribute("aria-label", name);
    if (name === "Pause") this.follow();
  }

  /** Follow the sound smoothly while it plays. */
  follow() {
    const step = () => {
      if (this.sound.paused || this.stop.signal.aborted) return;
      this.moved();
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  clicked(event) {
    const track = event.target.closest(".track");
    if (!track) return;
    const surface = $("canvas, svg", track);
    const box = surface.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width;
    if (at < 0 || at > 1) return;
    if (track.classList.contains("close")) this.seek(this.closeFrom() + at * CLOSE_S);
    else this.seek(at * this.duration);
  }

  toggle() {
    if (this.sound.paused) this.sound.play().catch(() => {});
    else this.sound.pause();
  }

  seek(seconds) {
    this.sound.currentTime = Math.min(Math.max(0, seconds), Math.max(0, this.duration - 0.05));
    this.moved();
  }

  playFrom(seconds) {
    this.seek(seconds);
    this.sound.play().catch(() => {});
  }

  /** The sound is elsewhere: words, clock and playhead follow, and a stretch grows. */
  moved() {
    const now = this.sound.currentTime;
    if (!this.sound.paused && !this.sound.seeking) {
      if (this.from === null) this.from = now;
      else if (now < this.from || now - this.last > 2 * Math.max(1, this.sound.playbackRate)) {
        this.cut(this.last);
        this.from = now;
      }
      this.last = now;
    }
    $("#clock", this.root).textContent = clock(now);
    const range = $("#seek", this.root);
    range.value = now;
    range.setAttribute("aria-valuetext", clock(now));
    this.say(now);
    this.place(now);
  }

  /** End the stretch that was being played, and add it to what was heard. */
  cut(at = this.sound.currentTime) {
    if (this.from !== null && at > this.from) {
      this.unsent.push([this.from, at]);
      this.heard = united([...this.heard, [this.from, at]]);
      this.drawHeard();
      this.markMoments();
    }
    this.from = null;
  }

  /** Send what was heard since the last time. */
  async beat() {
    if (this.from !== null) {
      const now = this.last ?? this.from;
      this.cut(now);
      if (!this.sound.paused) this.from = now;
    }
    const stretches = united(this.unsent.splice(0)).map((one) => one.map((s) => Math.round(s * 1000) / 1000));
    if (!stretches.length) return;
    try {
      const answer = await fetch(`/productions/${this.production}/chapters/${this.chapter}/heard`, {
        method: "POST",
        keepalive: true,
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": document.body.dataset.csrf },
        body: JSON.stringify({ audio_digest: this.digest, stretches }),
      });
      if (answer.status === 409) $("#where", this.root).textContent = "This chapter was mastered again: load the page anew.";
      if (answer.status === 401) $("#where", this.root).textContent = "Your session ended: log in again.";
    } catch {
      this.unsent.push(...stretches); // the next beat sends them
    }
  }

  say(now) {
    let low = 0, high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle] <= now + 0.02) low = middle + 1;
      else high = middle;
    }
    if (low - 1 === this.said) return;
    this.words[this.said]?.classList.remove("now");
    this.said = low - 1;
    const word = this.words[this.said];
    word?.classList.add("now");
    const span = this.windowAt(now);
    $("#where", this.root).textContent = span ? `window ${span[1] + 1} of ${this.windows.length}` : "";
    if (word && $("#follow", this.root).checked) this.bringIntoView(word);
  }

  bringIntoView(word) {
    const box = $("#words", this.root);
    const top = word.offsetTop - box.offsetTop;
    if (top < box.scrollTop + 20 || top > box.scrollTop + box.clientHeight - 60)
      box.scrollTo({ top: top - box.clientHeight / 3, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  windowAt(now) {
    return this.windows.find(([, , start, end]) => start <= now && now < end) ?? this.windows.findLast?.(([, , start]) => start <= now) ?? this.windows[0];
  }

  wordsOf([, , start, end]) {
    return this.words.filter((_, i) => this.starts[i] >= start - 0.05 && this.starts[i] < end).map((w) => w.textContent).join(" ");
  }

  step(by) {
    const at = Math.min(Math.max(0, this.said + by), this.starts.length - 1);
    if (at >= 0) this.playFrom(this.starts[at]);
  }

  markWords() {
    for (const [, start, end, verdict] of this.moments)
      if (verdict !== "pass" && end - start < 60)
        this.words.forEach((word, i) => {
          const next = this.starts[i + 1] ?? this.duration;
          if (this.starts[i] < end && next > start) word.classList.add(verdict);
        });
  }

  /** Tick the moments of this chapter that were heard by now. */
  markMoments() {
    for (const [key, start, end] of this.moments) {
      const item = $(`#moments [data-key="${key}"]`);
      if (item && !item.classList.contains("heard") && isHeard(this.heard, start, end)) {
        item.classList.add("heard");
        $(".ear", item).textContent = "heard";
      }
    }
    const left = $$("#moments li:not(.heard)").length;
    for (const count of $$("#unheard, #unheard-warn")) count.textContent = left;
    const warning = $("#warn-unheard");
    if (warning) {
      warning.hidden = left === 0;
      $("input", warning).required = left > 0;
    }
  }

  async loadPeaks() {
    try {
      const answer = await fetch(`/productions/${this.production}/chapters/${this.chapter}/peaks?v=${this.digest}`, { signal: this.stop.signal });
      if (answer.ok) this.peaks = await answer.json();
    } catch {
      return; // the page was left, or the waveform is missing: one can listen all the same
    }
    this.draw();
  }

  surface(id) {
    const canvas = $(id, this.root);
    const scale = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    return [pen, width, height];
  }

  /** Draw peaks of [from, to) with the moments behind them. */
  drawWave(id, from, to) {
    const [pen, width, height] = this.surface(id);
    const x = (s) => ((s - from) / (to - from)) * width;
    for (const [, start, end, verdict] of this.moments) {
      if (end - start > 0.9 * this.duration || end < from || start > to) continue;
      pen.fillStyle = colour(`--${verdict}-wash`);
      pen.fillRect(x(start), 0, Math.max(2, x(end) - x(start)), height);
    }
    if (this.peaks) {
      const { per_second: rate, peaks } = this.peaks;
      const middle = height / 2;
      pen.fillStyle = colour("--wave");
      for (let px = 0; px < width; px++) {
        const a = Math.floor((from + (px / width) * (to - from)) * rate);
        const b = Math.max(a + 1, Math.floor((from + ((px + 1) / width) * (to - from)) * rate));
        let top = 0;
        for (let i = Math.max(0, a); i < Math.min(b, peaks.length); i++) top = Math.max(top, peaks[i]);
        const tall = Math.max(0.5, Math.pow(top / 255, 0.7) * middle);
        pen.fillRect(px, middle - tall, 1, 2 * tall);
      }
    }
    pen.fillStyle = colour("--accent");
    for (const at of this.notes) if (at >= from && at < to) pen.fillRect(x(at) - 1, 0, 2, 10);
    return [pen, x, height];
  }

  drawHeard() {
    const [pen, width, height] = this.surface("#heard");
    pen.fillStyle = colour("--line");
    pen.fillRect(0, 0, width, height);
    pen.fillStyle = colour("--heard");
    for (const [start, end] of this.heard)
      pen.fillRect((start / this.duration) * width, 0, Math.max(1, ((end - start) / this.duration) * width), height);
  }

  draw() {
    this.drawWave("#wave", 0, this.duration);
    this.drawHeard();
    this.place(this.sound.currentTime);
  }

  closeFrom() {
    return Math.max(0, Math.min(this.duration - CLOSE_S, this.sound.currentTime - CLOSE_S / 3));
  }

  /** Put the playhead where the sound is. */
  place(now) {
    const wave = $("#wave", this.root);
    const left = wave.offsetLeft + (now / Math.max(0.001, this.duration)) * wave.clientWidth;
    $("#head", this.root).style.transform = `translateX(${left}px)`;
    if (!this.peaks) return;
    const from = this.closeFrom();
    const [pen, x, height] = this.drawWave("#close", from, from + CLOSE_S);
    pen.fillStyle = colour("--ink-soft");
    for (const [, , start] of this.windows) if (start > from && start < from + CLOSE_S) pen.fillRect(x(start), 0, 1, height);
    pen.fillStyle = colour("--accent");
    pen.fillRect(x(now) - 1, 0, 2, height);
  }

  end() {
    this.cut(this.last ?? this.from ?? 0);
    this.beat();
    this.sound.pause();
    clearInterval(this.timer);
    this.stop.abort();
  }
}

let player = null;

const start = () => {
  const root = $("#listen[data-digest]");
  if (player?.root === root) return;
  player?.end();
  player = root ? new Player(root) : null;
  if (player && location.hash === "#play") player.sound.play().catch(() => {});
};

/** Go to a place: in this chapter at once, else by fetching the other chapter's player. */
const go = async (link, play) => {
  const chapter = Number(link.dataset.chapter);
  const at = link.dataset.start === undefined ? null : Math.max(0, Number(link.dataset.start) - 1);
  if (!player || player.chapter !== chapter) {
    const address = `/productions/${player?.production ?? location.pathname.split("/")[2]}/chapters/${chapter}`;
    await player?.beat();
    await htmx.ajax("GET", address, { source: link, target: "#listen", select: "#listen", swap: "outerHTML" });
    history.replaceState(null, "", address);
    start();
    for (const item of $$(".chapters li")) item.classList.toggle("now", Number($("a", item).dataset.chapter) === chapter);
    for (const id of ["#note-chapter", "#note-digest", "#redo-digest"]) {
      const field = $(id);
      if (field && player) field.value = id === "#note-chapter" ? player.chapter : player.digest;
    }
  }
  if (player && at !== null) (play ? player.playFrom(at) : player.seek(at));
};

const moment = (by) => {
  const items = $$("#moments li");
  if (!items.length) return;
  const now = items.findIndex((item) => item.classList.contains("now"));
  const next = items[Math.min(Math.max(0, now + by), items.length - 1)];
  choose(next);
};

const choose = (item) => {
  for (const other of $$("#moments li")) other.classList.toggle("now", other === item);
  item.scrollIntoView({ block: "nearest" });
  go($("a", item), true);
};

const prepare = {
  redo: () => {
    const span = player?.windowAt(player.sound.currentTime);
    if (!span) return false;
    $("#redo-form").action = `/windows/${span[0]}/redo`;
    $("#redo-takes").href = `/windows/${span[0]}`;
    $("#redo-where").textContent = `Window ${span[1] + 1}, ${clock(span[2])} – ${clock(span[3])}`;
    $("#redo-text").textContent = player.wordsOf(span);
    return true;
  },
  note: () => {
    if (!player) return false;
    $("#note-at").value = player.sound.currentTime.toFixed(2);
    $("#note-clock").textContent = clock(player.sound.currentTime);
    return true;
  },
};

const open = (id) => {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open || (prepare[id] && !prepare[id]())) return;
  if (id !== "keys") player?.sound.pause();
  dialog.showModal();
};

const KEYS = {
  " ": () => player?.toggle(),
  j: () => moment(1),
  k: () => moment(-1),
  ArrowLeft: () => player?.seek(player.sound.currentTime - 5),
  ArrowRight: () => player?.seek(player.sound.currentTime + 5),
  b: () => player?.step(-1),
  w: () => player?.step(1),
  "[": () => chapter(-1),
  "]": () => chapter(1),
  ",": () => speed(-1),
  ".": () => speed(1),
  r: () => open("redo"),
  n: () => open("note"),
  a: () => open("approve"),
  x: () => open("reject"),
  t: () => {
    const span = player?.windowAt(player.sound.currentTime);
    if (span) location.href = `/windows/${span[0]}`;
  },
  "?": () => open("keys"),
  1: () => ballot("a"),
  2: () => ballot("b"),
};

const chapter = (by) => {
  const links = $$(".chapters a");
  const now = links.findIndex((link) => Number(link.dataset.chapter) === player?.chapter);
  const next = links[now + by];
  if (next) go(next, false);
};

const speed = (by) => {
  const select = $("#speed");
  if (!select) return;
  select.selectedIndex = Math.min(Math.max(0, select.selectedIndex + by), select.options.length - 1);
  select.dispatchEvent(new Event("change"));
};

/** Play one side of a blind comparison from where the other one is. */
const ballot = (side) => {
  const sounds = $$("audio[data-side]");
  const chosen = sounds.find((one) => one.dataset.side === side);
  const other = sounds.find((one) => one.dataset.side !== side);
  if (!chosen) return;
  if (other && !other.paused) {
    other.pause();
    chosen.currentTime = Math.min(other.currentTime, chosen.duration || 0);
  }
  if (chosen.paused) chosen.play().catch(() => {});
  else chosen.pause();
};

const keysAreOn = () => localStorage.getItem("keys") !== "off";

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]):not([type=range]), textarea, select");
  const pressing = event.key === " " && event.target.closest("button, a, summary, [type=checkbox]");
  const own = event.target.closest("[type=range], audio") && event.key.startsWith("Arrow");
  if (typing || pressing || own || $("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const does = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!does || (!keysAreOn() && event.key.length === 1 && event.key !== "?")) return;
  event.preventDefault();
  does();
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) open(opener.dataset.dialog);
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
  const link = event.target.closest("a[data-chapter]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && $("#listen")) {
    event.preventDefault();
    const item = link.closest("#moments li");
    if (item) choose(item);
    else go(link, link.dataset.start !== undefined);
  }
});

// What was heard must arrive before a decision that counts it.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-flush]") || form.dataset.flushed || !player) return;
  event.preventDefault();
  player.sound.pause();
  await player.beat();
  await new Promise((later) => setTimeout(later)); // a form that is still submitting ignores requestSubmit
  form.dataset.flushed = "yes";
  form.requestSubmit(event.submitter ?? undefined);
  delete form.dataset.flushed; // for whoever comes back to the page
});

const keysOn = $("#keys-on");
if (keysOn) {
  keysOn.checked = keysAreOn();
  keysOn.addEventListener("change", () => localStorage.setItem("keys", keysOn.checked ? "on" : "off"));
}

start();
