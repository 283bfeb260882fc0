"use strict";
// A week grid over the text box of a schedule. What is posted is the text box: the grid writes it
// only when it is edited itself, and steps back from what it cannot show whole.

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const SHOWN = {
  timezone: value => typeof value === "string",
  slots: value => isObject(value),
  jitter_minutes: value => ["number", "string"].includes(typeof value),
  blackout_days: value => isListOfTexts(value),
  valid_from: value => typeof value === "string",
  valid_until: value => typeof value === "string",
};

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isListOfTexts(value) {
  return Array.isArray(value) && value.every(item => typeof item === "string");
}

function withoutSpaces(json) {
  return json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, (_, text) => text ?? "");
}

/** The schedule that this text means; an Error says what the grid cannot show of it. */
function read(text) {
  if (!text.trim()) return {};
  let schedule;
  try {
    schedule = JSON.parse(text);
  } catch {
    throw new Error("this is no JSON that can be read");
  }
  if (!isObject(schedule)) throw new Error("this is no object");
  // A key that stands twice, and what else would be lost on the way.
  if (withoutSpaces(text) !== JSON.stringify(schedule)) throw new Error("of this a part would be lost");
  for (const [key, value] of Object.entries(schedule)) {
    if (!Object.hasOwn(SHOWN, key)) throw new Error(`“${key}” is no key of a schedule`);
    if (!SHOWN[key](value)) throw new Error(`“${key}” is not what it should be`);
  }
  for (const [day, times] of Object.entries(schedule.slots ?? {})) {
    if (!DAYS.includes(day)) throw new Error(`“${day}” is no day of a schedule`);
    if (!isListOfTexts(times)) throw new Error(`“${day}” is no list of times`);
  }
  return schedule;
}

function written({ timezone = "", slots = {}, ...rest }) {
  const week = DAYS.filter(day => day in slots).map(day => [day, slots[day]]);
  if (!timezone && !week.length && !Object.keys(rest).length) return "{}";
  return JSON.stringify({ timezone, slots: Object.fromEntries(week), ...rest }, null, 2);
}

/** "9:30", "930" and "9" as the schedule has them; anything else as it is. */
function wallTime(text) {
  const found = /^(\d{1,2})(?:[:.h]?(\d\d))?$/.exec(text.trim());
  return found ? `${found[1].padStart(2, "0")}:${found[2] ?? "00"}` : text.trim();
}

function show(input, value) {
  if (input.dataset.type) input.type = input.dataset.type;
  input.value = value;
  if (input.value !== value) { // no date: shown as it is, to be put right
    input.dataset.type = input.type;
    input.type = "text";
    input.value = value;
  }
}

function entered(input) {
  return input.validity.badInput ? "incomplete" : input.value.trim();
}

class Grid {
  constructor(root) {
    this.text = root.querySelector("textarea");
    this.details = root.querySelector("details");
    this.grid = root.querySelector(".grid");
    this.problem = root.querySelector(".problem");
    this.schedule = {};
    this.grid.addEventListener("input", event => this.take(event.target));
    this.grid.addEventListener("change", event => this.tidy(event.target));
    this.grid.addEventListener("click", event => this.press(event.target));
    this.text.addEventListener("input", () => this.draw());
    this.draw();
    this.details.open = this.grid.hidden;
    // A browser that goes back puts into the box what was typed there.
    window.addEventListener("pageshow", () => this.draw());
  }

  draw() {
    let problem = "";
    try {
      this.schedule = read(this.text.value);
    } catch (error) {
      problem = `The week cannot be shown: ${error.message}. Change it as JSON.`;
      this.details.open = true;
    }
    this.problem.textContent = problem;
    this.problem.hidden = !problem;
    this.grid.hidden = Boolean(problem);
    if (problem) return;
    for (const input of this.grid.querySelectorAll("input[data-key]")) {
      show(input, String(this.schedule[input.dataset.key] ?? ""));
    }
    for (const list of this.grid.querySelectorAll(".list")) {
      list.querySelectorAll(".item").forEach(item => item.remove());
      const { day, key } = list.dataset;
      const values = day ? this.schedule.slots?.[day] : this.schedule[key];
      values?.forEach(value => this.add(list, value));
    }
  }

  add(list, value) {
    const template = this.grid.querySelector(`template[data-item=${list.dataset.item}]`);
    const item = template.content.firstElementChild.cloneNode(true);
    const input = item.querySelector("input");
    show(input, value);
    input.setAttribute("aria-label", list.dataset.what);
    this.name(item, list);
    list.querySelector(".add").before(item);
    return input;
  }

  name(item, list) {
    const value = item.querySelector("input").value;
    item.querySelector(".remove").setAttribute("aria-label", `Remove ${list.dataset.what} ${value}`);
  }

  press(target) {
    const list = target.closest(".list");
    if (target.matches(".add")) this.add(list, "").focus();
    if (target.matches(".remove")) {
      const item = target.closest(".item");
      const next = item.nextElementSibling.querySelector(".remove") ?? list.querySelector(".add");
      item.remove();
      this.takeList(list);
      next.focus();
    }
  }

  tidy(input) {
    const list = input.closest(".list");
    if (list?.dataset.item === "time") {
      input.value = wallTime(input.value);
      this.takeList(list);
    }
    if (list) this.name(input.closest(".item"), list);
  }

  take(input) {
    const list = input.closest(".list");
    if (list) return this.takeList(list);
    const value = entered(input);
    const isNumber = input.dataset.key === "jitter_minutes" && /^\d{1,9}$/.test(value);
    this.put(this.schedule, input.dataset.key, isNumber ? Number(value) : value);
  }

  takeList(list) {
    const values = [...list.querySelectorAll("input")].map(entered).filter(Boolean).sort();
    const { day, key } = list.dataset;
    if (day) this.schedule.slots ??= {};
    this.put(day ? this.schedule.slots : this.schedule, day ?? key, values.length ? values : "");
  }

  put(into, key, value) {
    if (value === "") delete into[key];
    else into[key] = value;
    this.text.value = written(this.schedule);
  }
}

document.querySelectorAll(".schedule").forEach(root => new Grid(root));
