// Any two runs of compare/runs.json side by side. Every text is set as text; the page is a plain table without this.
(() => {
  "use strict";
  var NONE = "–", MOST = 100, WORDS = 800;
  function get(id) { return document.getElementById(id); }
  var box = get("pair"), said = get("said"), shown = get("shown"), picks = [get("a"), get("b")], data;

  // -- making elements ---------------------------------------------------------------------------------------------

  function make(name, text, className) {
    var element = document.createElement(name);
    if (text !== undefined) { element.textContent = text; }
    if (className) { element.className = className; }
    return element;
  }
  function cell(text, label) {
    var made = make("td", text, "right figure");
    if (label) { made.dataset.label = label; }
    return made;
  }
  // Returns the cell at its head.
  function row(body, head, cells) {
    var made = make("tr"), first = make("th", head);
    first.scope = "row";
    made.append(first, ...cells);
    body.append(made);
    return first;
  }
  function emptied(id) {
    var table = get(id), body = table.querySelector("tbody") || table;
    body.replaceChildren();
    return body;
  }

  // -- numbers as the pages write them -----------------------------------------------------------------------------

  // Ties go to the even digit, as in the pages: half of all exact p-values and many scores are ties.
  function fixed(value, places) {
    var unit = 10 ** places, tie = value * unit % 1 === 0.5 && value * 16 % 1 === 0;
    return (tie ? 2 * Math.round(value * unit / 2) / unit : value).toFixed(places);
  }
  function points(value, places) {
    var text = fixed(Math.abs(value), places);
    return value < 0 && Number(text) ? "−" + text : text;
  }
  function change(value) {
    var text = points(value, 1);
    return value < 0 || !Number(text) ? text : "+" + text;
  }
  function chance(p) {
    return p < 0.001 ? "p < 0.001" : "p = " + fixed(p, p < 0.1 ? 3 : 2);
  }
  function value(number, places) {
    if (number === undefined) { return NONE; }
    if (places < 2 || Math.abs(number) < 100) { return points(number, places); }
    return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  }

  // -- the test ----------------------------------------------------------------------------------------------------

  function drawn(suite, place) { return (Array.isArray(suite.drawn) ? suite.drawn[place] : suite.drawn) || 0; }

  // Every problem that both sides have samples of: its name, and the counts that the test takes.
  function problems(before, now, suite, greedy) {
    var old = before.suites[suite], fresh = now.suites[suite], found = [];
    function tally(side, place) {
      var right = side.right[place], of = drawn(side, place);
      return greedy ? [2 * right > of ? 1 : 0, Math.min(1, of)] : [right, of];
    }
    data.problems[fresh.version].forEach((name, place) => {
      if (place >= Math.min(old.right.length, fresh.right.length)) { return; }
      var counts = tally(fresh, place).concat(tally(old, place));
      if (counts[1] && counts[3]) { found.push({ name, counts }); }
    });
    return found;
  }
  function tested(before, now, suite) {
    var old = before.suites[suite], fresh = now.suites[suite];
    if (old.version !== fresh.version) { return { word: "other", delta: fresh.score - old.score, turned: [] }; }
    var found = problems(before, now, suite, before.greedy && now.greedy);
    var strata = found.map((one) => one.counts);
    var result = { turned: found.filter(turned), count: found.length }, error = Math.hypot(old.stderr, fresh.stderr);
    if (found.length) {
      result.delta = 100 * paired.difference(strata);
      result.ends = paired.interval(strata).map((end) => 100 * end);
      result.p = paired.pValue(strata);
      var single = strata.every((s) => s[1] === 1 && s[3] === 1);
      result.test = single ? "mcnemar" : "exact";
    } else {
      result.delta = fresh.score - old.score;
      result.ends = [result.delta - paired.z95 * error, result.delta + paired.z95 * error];
      result.test = "unpaired";
    }
    var noise = found.length ? result.p >= 0.05 : result.ends[0] <= 0 && result.ends[1] >= 0;
    result.word = noise ? "noise" : result.delta > 0 ? "better" : "worse";
    return result;
  }
  function rise(one) { return one.counts[0] / one.counts[1] - one.counts[2] / one.counts[3]; }
  function turned(one) {
    var c = one.counts;
    return (2 * c[0] - c[1]) * (2 * c[2] - c[3]) < 0 || Math.abs(rise(one)) >= 0.5;
  }

  // -- the parts of the page ---------------------------------------------------------------------------------------

  function scores(before, now, suites) {
    var body = emptied("scores"), words = get("scores").dataset, results = {};
    suites.forEach((suite) => {
      var found = results[suite] = tested(before, now, suite);
      var fresh = now.suites[suite], old = before.suites[suite], moved = cell("", "change"), meaning = make("td");
      moved.append(make("b", change(found.delta)), found.ends ? " [" + found.ends.map(change).join(", ") + "]" : "");
      meaning.append(make("span", words[found.word], "verdict " + found.word));
      if (found.count) { meaning.append(" ", make("span", chance(found.p), "soft small")); }
      if (found.test) { meaning.append(make("span", words[found.test].replace("#", found.count), "why")); }
      var both = [[fresh, "now"], [old, "before"]].map((side) =>
        cell(points(side[0].score, 1) + " ± " + points(side[0].stderr, 1), side[1]));
      row(body, suite, both.concat([moved, meaning]));
    });
    return results;
  }

  function problemsThatTurned(results, suites) {
    var body = emptied("turned"), words = get("turned").dataset, all = [];
    suites.forEach((suite) => {
      results[suite].turned.forEach((one) => { all.push({ suite, one }); });
    });
    all.sort((a, b) => Math.abs(rise(b.one)) - Math.abs(rise(a.one)));
    function of(right, all) {
      return all === 1 ? (right ? words.right : words.wrong) : words.share.replace("{right}", right).replace("{drawn}", all);
    }
    all.slice(0, MOST).forEach((item) => {
      var c = item.one.counts, word = rise(item.one) > 0 ? "right" : "wrong", to = make("td");
      to.append(make("span", words[word], "verdict " + word));
      var link = make("a", item.one.name);
      link.href = words.find.replace("*", item.suite) + encodeURIComponent(item.one.name);
      row(body, "", [to, make("td", of(c[2], c[3]), "figure"), make("td", of(c[0], c[1]), "figure")]).append(
        link, suites.length > 1 ? " · " + item.suite : "");
    });
    body.parentElement.hidden = !all.length;
    var rest = all.length - MOST;
    get("more").textContent = !all.length ? words.none : rest > 0 ? words.more.replace("{count}", rest) : "";
  }

  function figures(before, now, suites) {
    var body = emptied("figures");
    suites.forEach((suite) => {
      ["kinds", "figures"].forEach((part) => {
        var old = before.suites[suite][part], fresh = now.suites[suite][part];
        Object.keys(Object.assign({}, old, fresh)).forEach((name) => {
          row(body, name + (suites.length > 1 ? " · " + suite : ""), [old, fresh].map((side) =>
            cell(value(side[name], part === "kinds" ? 1 : 2))));
        });
      });
    });
  }

  // The words of two texts as one: a longest common subsequence, bounded by WORDS.
  function marked(before, after) {
    var split = /\s+|[^\s\w]|\w+/gu, old = before.match(split) || [], fresh = after.match(split) || [];
    var holder = make("p", "", "words"), i = 0, j = 0, rows = [];
    function put(kind, word) {
      if (!kind) { holder.append(word); return; }
      var last = holder.lastChild;
      if (last && last.localName === kind) { last.textContent += word; } else { holder.append(make(kind, word)); }
    }
    if (Math.max(old.length, fresh.length) > WORDS) { old = [before]; fresh = [after]; }
    for (i = old.length; i >= 0; i -= 1) {
      rows[i] = new Uint16Array(fresh.length + 1);
      for (j = fresh.length - 1; i < old.length && j >= 0; j -= 1) {
        rows[i][j] = old[i] === fresh[j] ? rows[i + 1][j + 1] + 1 : Math.max(rows[i + 1][j], rows[i][j + 1]);
      }
    }
    for (i = 0, j = 0; i < old.length || j < fresh.length;) {
      var same = old[i] === fresh[j], gone = j === fresh.length || (i < old.length && rows[i + 1][j] >= rows[i][j + 1]);
      put(same ? "" : gone ? "del" : "ins", same || gone ? old[i] : fresh[j]);
      i += same || gone;
      j += same || !gone;
    }
    return holder;
  }

  function changed(before, now) {
    var list = emptied("changed");
    var both = [before, now].map((run) => new Map(run.settings.map((place) => {
      var setting = data.settings[place];
      return [setting[0] + " " + setting[1], setting];
    })));
    var old = both[0], fresh = both[1];
    new Set([...fresh.keys(), ...old.keys()]).forEach((key) => {
      var one = fresh.get(key) || old.get(key);
      var both = [old, fresh].map((side) => side.has(key) ? side.get(key)[2] : "");
      // A suite that only one of them measured is not a change of it.
      if (both[0] === both[1] || (one[0] === "suite" && !(old.has(key) && fresh.has(key)))) { return; }
      var entry = make("div"), term = make("dt", " " + one[1]), told = make("dd");
      term.prepend(make("span", one[0], "soft"));
      if (one[0] === "prompt") {
        told.append(marked(both[0], both[1]));
      } else {
        both = both.map((text) => /^[0-9a-f]{64}$/.test(text) ? text.slice(0, 12) + "…" : text || NONE);
        told.append(make("span", both[0], "old"), " → ", make("span", both[1], "now"));
      }
      entry.append(term, told);
      list.append(entry);
    });
    return list.children.length;
  }

  // -- choosing ----------------------------------------------------------------------------------------------------

  // A snapshot's branch, or seven digits of a commit and more.
  function named(word) {
    return data.runs.findIndex((run) => word.length > 6 && (run.snapshot === word || run.commit.startsWith(word)));
  }
  function show() {
    var before = data.runs[picks[0].value], now = data.runs[picks[1].value];
    var suites = Object.keys(now.suites).filter((suite) => before.suites[suite]);
    suites.sort((a, b) => (b === box.dataset.suite) - (a === box.dataset.suite));
    var results = scores(before, now, suites);
    problemsThatTurned(results, suites);
    figures(before, now, suites);
    said.textContent = changed(before, now) ? "" : said.dataset.same;
    var diff = get("diff");
    if (diff) { diff.href = diff.dataset.to.replace("{a}", before.commit).replace("{b}", now.commit); }
    shown.hidden = false;
  }
  function chosen() {
    var names = picks.map((pick) => data.runs[pick.value].snapshot || data.runs[pick.value].commit);
    history.replaceState(null, "", "?a=" + names[0] + "&b=" + names[1]);
    show();
  }
  function begin(found) {
    data = found;
    var asked = new URLSearchParams(location.search), missing = [];
    box.hidden = false;
    picks.forEach((pick, side) => {
      data.runs.forEach((run, place) => {
        var option = make("option", run.commit.slice(0, 12) + "  " + run.started + "  " + run.subject);
        option.value = place;
        pick.append(option);
      });
      var name = "ab"[side], word = asked.get(name) ?? box.dataset[name], place = named(word);
      if (place < 0) { missing.push(word.slice(0, 60)); }
      pick.value = Math.max(0, place);
      pick.addEventListener("change", chosen);
    });
    get("swap").addEventListener("click", () => {
      [picks[0].value, picks[1].value] = [picks[1].value, picks[0].value];
      chosen();
    });
    if (missing.length) { said.textContent = said.dataset.unknown + " " + missing.join(", "); } else { show(); }
  }
  fetch(box.dataset.runs).then((answer) => answer.ok ? answer.json() : Promise.reject()).then(begin).catch(() => {
    box.hidden = false;
    box.querySelector(".choose").hidden = true;
    said.textContent = said.dataset.failed;
  });
})();
