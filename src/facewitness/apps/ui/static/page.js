// What moves on the pages: sending a file, progress, lighting places, overlay, lens, pointing and asking.
const $ = (id) => document.getElementById(id);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

function complain(text) {
  const message = $("message");
  message.textContent = text;
  message.hidden = false;
  setTimeout(() => { message.hidden = true; }, 12000);
}

async function detailOf(response, otherwise) {
  try {
    return (await response.json()).detail ?? otherwise;
  } catch {
    return otherwise;
  }
}

for (const form of document.querySelectorAll("form[data-sure]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.dataset.sure)) event.preventDefault();
  });
}

// ------------------------------------------------------------------------------------------------ sending a file

const upload = $("upload");
if (upload) {
  const words = upload.dataset;
  const send = (file) => {
    const bar = $("sent");
    const form = new FormData();
    form.append("case_name", upload.elements.case_name.value);
    form.append("note", upload.elements.note.value);
    form.append("file", file, file.name || "pasted.png");
    const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
    $("chosen").textContent = fill(words.sending, { name: file.name || "" });
    bar.hidden = false;
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = event.loaded / event.total;
    });
    request.addEventListener("load", () => {
      bar.hidden = true;
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch { /* no JSON: the status says enough */ }
      if (request.status < 300 && answer.id) location.assign(`/analyses/${answer.id}`);
      else {
        $("chosen").textContent = "";
        complain(answer.detail ?? `${request.status} ${request.statusText}`);
      }
    });
    request.addEventListener("error", () => {
      bar.hidden = true;
      $("chosen").textContent = "";
      complain(words.network);
    });
    request.open("POST", "/v1/analyses");
    request.send(form);
  };
  const several = (files) => {
    if (files.length > 1) complain(fill(words.many, { count: files.length }));
    if (files.length) send(files[0]);
  };
  $("file").addEventListener("change", (event) => { $("chosen").textContent = event.target.files[0]?.name ?? ""; });
  $("camera").addEventListener("change", (event) => several(event.target.files));
  upload.addEventListener("submit", (event) => {
    event.preventDefault();
    several($("file").files);
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      upload.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) upload.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    upload.classList.remove("over");
    if (event.dataTransfer.files.length) several(event.dataTransfer.files);
    else complain(words.nothing);
  });
  document.addEventListener("paste", (event) => {
    if (event.target.closest?.("input, textarea")) return;
    if (event.clipboardData.files.length) several(event.clipboardData.files);
    else complain(words.nothing);
  });
}

// ------------------------------------------------------------------------------------------------------ progress

const waiting = $("waiting");
if (waiting) {
  const steps = JSON.parse(waiting.dataset.steps);
  const order = Object.keys(steps);
  const source = new EventSource(`/v1/analyses/${waiting.dataset.id}/events`);
  source.addEventListener("progress", (event) => {
    const { progress } = JSON.parse(event.data);
    if (!progress) return;
    $("step").textContent = progress.step ? steps[progress.step] : fill(waiting.dataset.queued, { before: progress.before ?? 0 });
    if (progress.step) $("work").value = (order.indexOf(progress.step) + (progress.done ?? 0.5)) / order.length;
  });
  for (const last of ["end", "problem"]) {
    source.addEventListener(last, () => {
      source.close();
      location.reload(); // to the report, or to what became of it
    });
  }
}

// ------------------------------------------------------------------------------- a place, its sentence, its question

const stage = $("stage");
const findingOf = (node) => node?.closest?.("[data-finding]")?.dataset.finding ?? null;
function light(names) {
  const wanted = names?.split(" ") ?? [];
  for (const node of document.querySelectorAll("[data-finding]")) {
    node.classList.toggle("lit", node.dataset.finding.split(" ").some((name) => wanted.includes(name)));
  }
}
for (const [arrives, leaves] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  document.addEventListener(arrives, (event) => {
    const names = findingOf(event.target);
    if (names) light(names);
  });
  document.addEventListener(leaves, (event) => {
    if (findingOf(event.target)) light(findingOf(event.relatedTarget));
  });
}

if (stage) {
  const drawing = stage.querySelector(".drawing");
  const photo = $("photo");
  const overlay = $("overlay");
  const width = Number(stage.dataset.width);
  const height = Number(stage.dataset.height);
  // as large as its column and the window allow; a picture of few pixels is enlarged, the lens shows them
  const fit = () => {
    const column = stage.parentElement.clientWidth;
    stage.style.width = `${Math.min(column, Math.max(240, 0.78 * innerHeight * (width / height)), Math.max(width, 900))}px`;
  };
  if (photo) {
    stage.classList.add("fitted");
    fit();
    addEventListener("resize", fit);
  }
  for (const text of stage.querySelectorAll(".face text")) text.style.fontSize = `${Math.max(width, height) / 45}px`;

  const split = () => {
    const share = Number($("split").value) / 100;
    $("split-help").hidden = !share;
    overlay.style.clipPath = share ? `polygon(${share * width}px 0, ${width}px 0, ${width}px ${height}px, ${share * width}px ${height}px)` : "";
  };
  $("show-overlay").addEventListener("change", (event) => overlay.classList.toggle("off", !event.target.checked));
  $("opacity").addEventListener("input", (event) => stage.style.setProperty("--heat", event.target.value / 100));
  $("split").addEventListener("input", () => {
    $("show-overlay").checked = true;
    overlay.classList.remove("off");
    split();
  });

  // the lens: the same picture, three times as large
  const lens = $("lens");
  const magnify = $("magnify");
  const look = (x, y) => {
    const box = stage.getBoundingClientRect();
    const half = lens.offsetWidth / 2;
    lens.style.left = `${x - half}px`;
    lens.style.top = `${y - half}px`;
    lens.style.backgroundImage = `url("${photo.currentSrc || photo.src}")`;
    lens.style.backgroundSize = `${box.width * 3}px ${box.height * 3}px`;
    lens.style.backgroundPosition = `${half - x * 3}px ${half - y * 3}px`;
  };
  magnify?.addEventListener("change", () => { lens.hidden = !magnify.checked; if (magnify.checked) look(stage.clientWidth / 2, stage.clientHeight / 2); });
  stage.addEventListener("pointermove", (event) => {
    if (!magnify?.checked) return;
    const box = stage.getBoundingClientRect();
    look(event.clientX - box.left, event.clientY - box.top);
  });

  // pointing: a click is a point, a drag is a box
  const band = $("band");
  const point = $("point");
  let from = null;
  let places = [];
  const at = (event) => {
    const box = stage.getBoundingClientRect();
    const inside = (value, most) => Math.min(Math.max(value, 0), most);
    return [inside((event.clientX - box.left) / box.width, 1) * width, inside((event.clientY - box.top) / box.height, 1) * height];
  };
  const draw = ([x1, y1, x2, y2]) => {
    for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 })) band.setAttribute(name, value);
    band.removeAttribute("hidden");
  };
  const forget = () => {
    places = [];
    from = null;
    band.setAttribute("hidden", "");
  };
  point.addEventListener("change", () => {
    stage.classList.toggle("pointing", point.checked);
    $("point-help").hidden = !point.checked;
    if (!point.checked) forget();
  });
  drawing.addEventListener("pointerdown", (event) => {
    if (!point.checked) return;
    from = at(event);
    drawing.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  drawing.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = at(event);
    draw([Math.min(from[0], x), Math.min(from[1], y), Math.max(from[0], x), Math.max(from[1], y)]);
  });
  drawing.addEventListener("pointerup", (event) => {
    if (!from) return;
    const [x, y] = at(event);
    const box = [Math.min(from[0], x), Math.min(from[1], y), Math.max(from[0], x), Math.max(from[1], y)];
    const small = Math.max(box[2] - box[0], box[3] - box[1]) < Math.max(width, height) / 100;
    places = [small ? { point: from } : { box }];
    if (small) {
      const r = Math.max(width, height) / 100;
      draw([from[0] - r, from[1] - r, from[0] + r, from[1] + r]);
    }
    from = null;
    $("words").focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    forget();
    if (point.checked) point.click();
  });

  const press = (place) => {
    places = [{ region: place.dataset.region }];
    ask("", places, Number(place.dataset.person));
    places = [];
  };
  drawing.addEventListener("click", (event) => {
    const place = event.target.closest(".place");
    if (place && !point.checked) press(place);
  });
  drawing.addEventListener("keydown", (event) => {
    const place = event.target.closest?.(".place");
    if (place && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      press(place);
    }
  });

  // a film: its judged moments as frames, or the film itself with the boxes that were judged
  const moments = [...document.querySelectorAll(".moment")];
  const film = $("film");
  const play = $("play");
  const still = [...drawing.querySelectorAll(".face:not(.moving), .place, .overlay")];
  const moving = [...drawing.querySelectorAll(".moving")].map((node) => ({ node, path: JSON.parse(node.dataset.path) }));
  const boxAt = (path, seconds) => {
    const next = path.findIndex(([t]) => t >= seconds);
    if (next < 0) return path.length && seconds - path[path.length - 1][0] < 0.5 ? path[path.length - 1].slice(1) : null;
    const [t1, ...b1] = path[next];
    if (next === 0) return t1 - seconds < 0.5 ? b1 : null;
    const [t0, ...b0] = path[next - 1];
    const share = (seconds - t0) / (t1 - t0);
    return b0.map((value, i) => value + share * (b1[i] - value));
  };
  const follow = (seconds) => {
    for (const { node, path } of moving) {
      const box = boxAt(path, seconds);
      node.toggleAttribute("hidden", !box);
      if (!box) continue;
      const [rect, text] = node.children;
      for (const [name, value] of Object.entries({ x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1] })) rect.setAttribute(name, value);
      text.setAttribute("x", box[0]);
      text.setAttribute("y", box[1]);
    }
  };
  const point_out = (seconds) => {
    for (const line of document.querySelectorAll(".timeline")) {
      let best = null;
      for (const moment of line.children) {
        moment.removeAttribute("aria-current");
        if (!best || Math.abs(moment.dataset.seconds - seconds) < Math.abs(best.dataset.seconds - seconds)) best = moment;
      }
      best?.setAttribute("aria-current", "true");
    }
  };
  const showStill = (whole) => {
    for (const drawn of still) drawn.style.display = whole ? "" : "none";
    for (const { node } of moving) node.toggleAttribute("hidden", whole);
  };
  for (const moment of moments) {
    const fake = moment.dataset.fake === "" ? null : Number(moment.dataset.fake);
    const { low, high } = moment.parentElement.dataset;
    moment.style.height = `${4 + 96 * (fake ?? 0)}%`;
    moment.classList.add(fake === null ? "none" : high && fake >= Number(high) ? "high" : low && fake < Number(low) ? "low" : "middle");
    moment.addEventListener("click", () => {
      const seconds = Number(moment.dataset.seconds);
      point_out(seconds);
      if (play?.checked) {
        film.currentTime = seconds;
        return;
      }
      if (!photo) return;
      photo.src = photo.src.replace(/([?&]index=)\d+/, `$1${moment.dataset.index}`);
      const whole = moment.dataset.index === stage.dataset.frame;
      showStill(whole);
      if (!whole) follow(seconds);
    });
  }
  if (film && play) {
    const now = () => {
      follow(film.currentTime);
      point_out(film.currentTime);
    };
    const each = () => {
      if (!play.checked || film.paused) return;
      now();
      requestAnimationFrame(each);
    };
    film.addEventListener("play", each);
    film.addEventListener("seeked", now);
    film.addEventListener("loadeddata", now);
    const stop = () => {
      film.pause();
      film.hidden = true;
      photo.hidden = false;
      stage.classList.remove("playing");
      $("play-help").hidden = true;
      showStill(photo.src.includes(`index=${stage.dataset.frame}`));
    };
    film.addEventListener("error", () => {
      play.checked = false;
      stop();
      complain(stage.dataset.unplayable);
    });
    play.addEventListener("change", () => {
      if (!play.checked) {
        stop();
        return;
      }
      if (point.checked) point.click();
      if (magnify?.checked) magnify.click();
      if (!film.src) film.src = film.dataset.src;
      film.hidden = false;
      photo.hidden = true;
      stage.classList.add("playing");
      $("play-help").hidden = false;
      showStill(false);
      film.play().catch(() => { /* the error event says why, or the reader presses play */ });
    });
  }

  // ------------------------------------------------------------------------------------------------------- asking

  const form = $("question");
  const turns = $("turns");
  const say = turns.dataset;
  const paragraph = (parent, kind, who, text) => {
    const p = parent.appendChild(document.createElement("p"));
    p.className = kind;
    if (who) {
      p.appendChild(document.createElement("b")).textContent = who;
      p.append(" ");
    }
    const words = p.appendChild(document.createElement("span"));
    words.dir = "auto"; // a stranger's reading direction stays inside
    words.textContent = text;
    return words;
  };

  async function ask(question, pointed, face) {
    turns.querySelector(".none")?.remove();
    const turn = turns.appendChild(document.createElement("div"));
    turn.className = "turn";
    paragraph(turn, "asked", say.you, question || say.pointed);
    const told = paragraph(turn, "told", say.answer, `${say.working} …`);
    turns.scrollTop = turns.scrollHeight;
    turn.scrollIntoView({ block: "nearest" }); // on a narrow page the conversation stands far below
    let first = true;
    try {
      const response = await fetch(`/v1/analyses/${stage.dataset.id}/questions`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
        body: JSON.stringify({ question, places: pointed, ...(Number.isInteger(face) ? { face } : {}) }),
      });
      if (!response.ok) {
        told.textContent = await detailOf(response, response.statusText);
        return;
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        rest += value;
        const events = rest.split("\n\n");
        rest = events.pop();
        for (const event of events) {
          const kind = /^event: (.*)$/m.exec(event)?.[1];
          const data = /^data: (.*)$/m.exec(event)?.[1];
          if (!kind || !data) continue;
          const given = JSON.parse(data);
          if (kind === "piece") {
            told.textContent = (first ? "" : told.textContent) + given.text;
            first = false;
          } else if (kind === "answer") {
            told.textContent = given.answer;
            for (const note of given.notes ?? []) paragraph(turn, "small", "", note);
          } else if (kind === "problem") told.textContent = given.detail;
        }
        turns.scrollTop = turns.scrollHeight;
      }
    } catch {
      told.textContent = say.network;
    }
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const words = $("words");
    if (!words.value.trim() && !places.length) return;
    ask(words.value.trim(), places);
    words.value = "";
    forget();
  });
}

// ------------------------------------------------------------------------------------------------------- reviewing

const decide = $("decide");
if (decide) {
  const begun = Date.now();
  const least = Number(decide.dataset.least);
  const tick = () => {
    const seconds = (Date.now() - begun) / 1000;
    decide.elements.seconds.value = seconds.toFixed(1);
    const left = Math.ceil(least - seconds);
    $("early").textContent = left > 0 ? fill(decide.dataset.early, { seconds: left }) : "";
    for (const button of decide.querySelectorAll("button")) button.disabled = left > 0;
    if (left > 0) setTimeout(tick, 250);
  };
  tick();
  decide.addEventListener("submit", () => {
    const seconds = (Date.now() - begun) / 1000;
    decide.elements.seconds.value = seconds.toFixed(1);
  });
}
