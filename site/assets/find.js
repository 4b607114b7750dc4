// Finds problems: filters one compact index, and looks through the files of whole answers when a reader asks for that.
(function () {
  "use strict";
  var box = document.getElementById("find");
  var said = document.getElementById("said");
  var results = document.getElementById("results");
  var deep = document.getElementById("deep");
  var fields = Array.from(box.querySelectorAll("select, input"));
  var words = document.getElementById("words");
  var loading, index, hits, shownFor;

  function load() {
    loading = loading || fetch(box.dataset.index).then(function (answer) {
      if (!answer.ok) { throw new Error(answer.status); }
      return answer.json();
    }).then(function (found) {
      index = found;
      index.problems.forEach(function (one, place) {
        one.place = place;
        one.all = one[2].length - one[2].split("e").length + 1;
        one.right = one[2].split("r").length - 1;
        one.text = (one[0] + " " + one[6]).toLowerCase();
      });
    });
    return loading;
  }
  function value(id) { var field = document.getElementById(id); return field ? field.value : ""; }
  function rate(one) { return one.all ? one.right / one.all : -1; }
  function has(one, outcome) {
    if (outcome === "none") { return one.all && !one.right; }
    if (outcome === "all") { return one.all && one.right === one.all; }
    if (outcome === "some") { return one.right && one.right < one.all; }
    return one[2].includes(outcome);
  }
  function fits(one, asked) {
    return (!asked.outcome || has(one, asked.outcome)) &&
      (!asked.turned || one[5] === asked.turned) &&
      (!asked.kind || one[3] === Number(asked.kind)) &&
      (!asked.tag || one[4].includes(Number(asked.tag))) &&
      (!asked.words || one.text.includes(asked.words) || Boolean(hits && hits.has(one.place)));
  }
  function link(href, text) {
    var made = document.createElement("a");
    made.href = href;
    made.textContent = text;
    return made;
  }
  // A problem with the answers that have the outcome, or the words, that was asked for.
  function row(one, asked) {
    var made = document.createElement("li"), soft = document.createElement("span");
    soft.className = "soft";
    soft.textContent = " " + said.dataset.share.replace("{right}", one.right).replace("{drawn}", one.all) +
      (one[3] < 0 ? "" : " · " + index.kinds[one[3]]);
    made.append(link(one[1], one[0]), soft);
    var chosen = hits && hits.get(one.place) || [];
    if (/^[wute]$/.test(asked.outcome)) {
      chosen = Array.from(one[2]).map(function (letter, number) { return letter === asked.outcome ? number : -1; });
    }
    chosen.filter(function (number) { return number >= 0; }).slice(0, 16).forEach(function (number) {
      made.append(" ", link(one[1] + "-" + (number + 1), said.dataset.answer.replace("{number}", number + 1)));
    });
    return made;
  }
  function show() {
    var asked = {}, active = false;
    fields.forEach(function (field) {
      asked[field.id] = field.id === "words" ? field.value.trim().toLowerCase() : field.value;
      active = active || (asked[field.id] !== "" && field.id !== "order") || value("order") !== "worst";
    });
    if (asked.words !== shownFor) { hits = undefined; shownFor = asked.words; }
    document.getElementById("static").hidden = active;
    results.hidden = !active;
    if (deep) { deep.hidden = asked.words.length < 2 || !index.texts.length; }
    said.textContent = "";
    if (!active) { return; }
    var found = index.problems.filter(function (one) { return fits(one, asked); });
    var sign = { worst: 1, best: -1, suite: 0 }[asked.order];
    found.sort(function (a, b) { return sign * (rate(a) - rate(b)) || a.place - b.place; });
    var most = Number(box.dataset.most);
    results.replaceChildren.apply(results, found.slice(0, most).map(function (one) { return row(one, asked); }));
    var sentence = found.length === 1 ? "one" : found.length > most ? "more" : "found";
    said.textContent = said.dataset[sentence].replace("{count}", found.length).replace("{shown}", most);
  }
  function changed() {
    load().then(show).catch(function () { said.textContent = said.dataset.failed; });
  }
  // Where each answer begins is told by the index: what an answer says cannot pass for the start of another.
  function look() {
    var asked = words.value.trim().toLowerCase(), found = new Map(), problem = 0, sample = 0, decoder = new TextDecoder();
    function read(number) {
      if (words.value.trim().toLowerCase() !== asked) { return; }
      if (number === index.texts.length) { hits = found; show(); return; }
      var text = index.texts[number];
      said.textContent = said.dataset.reading.replace("{number}", number + 1).replace("{count}", index.texts.length);
      return fetch(text.file).then(function (answer) {
        if (!answer.ok) { throw new Error(answer.status); }
        return answer.arrayBuffer();
      }).then(function (bytes) {
        for (var at = 0, place = 0; place < text.sizes.length; place += 2) {
          at += text.sizes[place];
          var end = at + text.sizes[place + 1];
          if (decoder.decode(bytes.slice(at, end)).toLowerCase().includes(asked)) {
            found.set(problem, (found.get(problem) || []).concat(sample));
          }
          at = end;
          sample += 1;
          if (index.problems[problem] && sample === index.problems[problem][2].length) { problem += 1; sample = 0; }
        }
        return read(number + 1);
      });
    }
    read(0).catch(function () { said.textContent = said.dataset.failed; });
  }
  box.hidden = false;
  words.value = new URLSearchParams(location.search).get("words") || words.value;
  fields.forEach(function (field) { field.addEventListener("input", changed); });
  words.addEventListener("focus", load);
  if (deep) { deep.addEventListener("click", look); }
  if (fields.some(function (field) { return field.value && field.value !== "worst"; })) { changed(); }
})();
