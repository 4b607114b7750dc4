// The page /try/: the snapshot's model answers in this browser. Its words stand in the template, so this file has none.
(function () {
  "use strict";

  var START = 120;
  var TOKEN = 120;

  var place = document.querySelector("[data-try]");
  if (!place) { return; }
  var words = {};
  place.querySelectorAll("[data-word]").forEach(function (one) { words[one.dataset.word] = one.textContent; });
  function part(name) { return document.getElementById("try-" + name); }
  var settings = null, engine = null, chosen = null, asking = null;

  function filled(word, values) {
    return words[word].replace(/\{(\w+)\}/g, function (all, name) { return values[name]; });
  }
  // What loading says stands by its button, and what answering says by the answer.
  function say(word, values) { part("status").textContent = filled(word, values || {}); }
  function tell(word) { part("progress").textContent = words[word]; }
  function within(seconds, promise) {
    var clock;
    var late = new Promise(function (resolve, reject) {
      clock = setTimeout(function () { reject(new Error(filled("slow", { seconds: seconds }))); }, 1000 * seconds);
    });
    return Promise.race([promise, late]).finally(function () { clearTimeout(clock); });
  }

  // What this browser lacks: the name of a word, or nothing.
  function lacking() {
    if (typeof WebAssembly !== "object") { return "wasm"; }
    // A function that catches an exception, and one that uses a vector.
    var tries = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 8, 1, 6, 0, 6, 64, 25, 11, 11];
    var vector = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253,
      98, 11];
    if (![tries, vector].every(function (code) { return WebAssembly.validate(new Uint8Array(code)); })) {
      return "simd";
    }
    try {
      new WebAssembly.Memory({ address: "i64", initial: BigInt(1) });
    } catch { return "memory"; }
    if (typeof DecompressionStream !== "function") { return "unpack"; }
    return window.crypto && crypto.subtle ? "" : "secure";
  }

  async function bytes(address, size) {
    var answer = await fetch(address);
    if (!answer.ok) { throw new Error(address + ": " + answer.status); }
    var reader = answer.body.getReader(), parts = [], done = 0;
    for (;;) {
      var piece = await within(START, reader.read());
      if (piece.done) { return new Blob(parts); }
      parts.push(piece.value);
      done += piece.value.length;
      if (size) { say("fetching", { done: (done / 1e6).toFixed(1), all: (size / 1e6).toFixed(1) }); }
    }
  }

  // Some hosts unpack a .gz file on the way, so its first bytes decide.
  async function unpacked(packed) {
    var head = new Uint8Array(await packed.slice(0, 2).arrayBuffer());
    if (head[0] !== 31 || head[1] !== 139) { return packed; }
    return new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
  }

  async function digest(data) {
    var found = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    return Array.from(found, function (byte) { return byte.toString(16).padStart(2, "0"); }).join("");
  }

  // The recorded model's bytes and no others; null, with a message, where they are not.
  async function model() {
    var wanted = settings.model, file = part("file") && part("file").files[0];
    if (!wanted.file && !file) { say("choose"); return null; }
    if (!wanted.file && file.size !== wanted.size) {
      say("size", { found: file.size, wanted: wanted.size });
      return null;
    }
    var blob = wanted.file ? await bytes(wanted.file, wanted.size) : file;
    say("checking");
    var found = await digest(await blob.arrayBuffer());
    if (found !== wanted.sha256) { say("digest", { found: found }); return null; }
    return blob;
  }

  async function configured() {
    if (settings) { return; }
    var answer = await fetch(place.dataset.try);
    if (!answer.ok) { throw new Error(place.dataset.try + ": " + answer.status); }
    settings = await answer.json();
  }

  async function load() {
    await configured();
    var weights = await model();
    if (!weights) { return; }
    var library = await import(new URL(settings.library, location.href).href);
    var runtime = await unpacked(await bytes(settings.runtime, 0));
    // Its worker would never say that it cannot compile this, and the page would wait.
    if (!WebAssembly.validate(await runtime.arrayBuffer())) { throw new Error(settings.runtime); }
    var address = URL.createObjectURL(new Blob([runtime], { type: "application/wasm" }));
    var quiet = function () { /* its log is for its developers */ };
    try {
      say("starting");
      engine = new library.Wllama({ default: address }, {
        suppressNativeLog: true, logger: { debug: quiet, log: quiet, warn: quiet, error: quiet }
      });
      engine.setCompat(null);
      await within(START + weights.size / 2e7, engine.loadModel([weights], {
        n_ctx: settings.context, n_parallel: 1, n_threads: 1, n_gpu_layers: 0, flash_attn: false, warmup: false,
        reasoning_format: "none"
      }));
    } finally { URL.revokeObjectURL(address); }
    say("ready");
    part("ask").disabled = false;
  }

  function close() {
    var old = engine;
    engine = null;
    part("ask").disabled = true;
    part("load").disabled = false;
    if (old) { Promise.resolve().then(function () { return old.exit(); }).catch(function () { /* it is gone */ }); }
  }

  function messages(question) {
    var template = chosen ? chosen.template : settings.template;
    var user = { role: "user", content: template.split("{problem}").join(question) };
    return settings.system ? [{ role: "system", content: settings.system }, user] : [user];
  }

  async function ask() {
    var question = part("prompt").value;
    if (!question.trim()) { tell("empty"); return; }
    var own = chosen && chosen.statement === question ? chosen : null;
    var out = part("answer"), seed = Number(part("seed").value) || 0, text = "", last = {}, finish = "", clock = null;
    out.textContent = part("figures").textContent = part("grade").textContent = "";
    asking = new AbortController();
    part("ask").disabled = true;
    part("stop").disabled = false;
    tell("answering");
    var silent = new Promise(function (resolve, reject) {
      var alive = text;
      clock = setInterval(function () {
        if (alive === text) { reject(new Error(filled("slow", { seconds: TOKEN }))); }
        alive = text;
      }, 1000 * TOKEN);
    });
    try {
      await Promise.race([silent, engine.createChatCompletion(Object.assign({}, settings.sampling, {
        messages: messages(question), seed: seed, stream: true, abortSignal: asking.signal, cache_prompt: false,
        onData: function (piece) {
          var choice = piece.choices && piece.choices[0];
          if (choice && choice.delta && choice.delta.content) {
            text += choice.delta.content;
            out.textContent = text;
          }
          if (choice && choice.finish_reason) { finish = choice.finish_reason; }
          last = piece.timings || last;
        }
      }))]);
    } finally {
      clearInterval(clock);
      part("stop").disabled = true;
    }
    tell("done");
    part("ask").disabled = false;
    await told(text, finish, last, own, seed);
  }

  async function told(text, finish, timings, own, seed) {
    var prompt = (timings.prompt_n || 0) + (timings.cache_n || 0);
    var notes = [filled("figures", {
      tokens: timings.predicted_n || 0, pace: (timings.predicted_per_second || 0).toFixed(1), prompt: prompt
    })];
    if (own && own.prompt_tokens !== prompt) { notes.push(filled("prompt", { recorded: own.prompt_tokens })); }
    if (own && own.sha256 && (settings.greedy || seed === own.seed)) {
      var same = await digest(new TextEncoder().encode(text)) === own.sha256;
      notes.push(filled(same ? "same" : "other", { outcome: own.outcome }));
    }
    part("figures").textContent = notes.join(" ");
    if (own) {
      var found = window.gradeAnswer(text, finish, own.expected);
      part("grade").textContent = filled(found.word, { answer: found.answer, expected: own.expected });
      part("grade").className = "verdict " + found.word;
    }
  }

  function failed(word) {
    return function (error) {
      if (error && error.name === "AbortError") { tell("stopped"); part("ask").disabled = false; return; }
      var why = String(error && error.message || error).slice(0, 300);
      if (/utf-?8|array length/i.test(why)) { why = words.bytes; }
      close();
      part("progress").textContent = "";
      say(word, { why: why });
    };
  }

  place.hidden = false;
  var missing = lacking();
  if (missing) {
    say("old", { what: words[missing] });
    part("load").disabled = true;
    return;
  }
  part("load").addEventListener("click", function () {
    part("load").disabled = true;
    load().catch(failed("failed")).finally(function () { part("load").disabled = engine !== null; });
  });
  part("ask").addEventListener("click", function () { ask().catch(failed("broken")); });
  part("stop").addEventListener("click", function () { asking.abort(); });
  if (part("problem")) {
    part("problem").addEventListener("change", function () {
      configured().then(function () {
        var key = part("problem").value;
        chosen = key === "" ? null : settings.problems[Number(key)];
        part("prompt").value = chosen ? chosen.statement : "";
        part("template").textContent = chosen ? chosen.template : settings.template;
        if (chosen) { part("seed").value = chosen.seed; }
      }).catch(failed("failed"));
    });
  }
})();
