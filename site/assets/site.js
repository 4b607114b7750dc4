// Conveniences only: the site is complete without this file.
(function () {
  "use strict";
  // Sentences stand in the page, in its language.
  var words = document.body.dataset;

  // On a phone the navigation is one row that scrolls: show the entry of this page.
  var current = document.querySelector(".top nav [aria-current]");
  if (current) {
    var row = current.closest("ul");
    row.scrollLeft = current.offsetLeft - row.offsetLeft - row.clientWidth / 2;
  }

  // A button that copies what stands beside it; without this script the text is selected by a click.
  function addCopy(box) {
    if (!navigator.clipboard) { return; }
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = words.copy;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(box.querySelector("code").textContent.trim()).then(function () {
        button.textContent = words.copied;
        setTimeout(function () { button.textContent = words.copy; }, 1600);
      });
    });
    box.appendChild(button);
  }
  document.querySelectorAll(".prose pre").forEach(function (block) {
    var box = document.createElement("div");
    box.className = "copyable";
    block.replaceWith(box);
    box.appendChild(block);
  });
  document.querySelectorAll(".copyable").forEach(addCopy);

  // The deploy's own address is the one thing that the page cannot know when it is rendered.
  document.querySelectorAll("[data-deploy]").forEach(function (place) {
    if (location.protocol === "file:") { return; }
    fetch(place.dataset.deploy).then(function (answer) { return answer.json(); }).then(function (deploy) {
      if (!/^https?:\/\/[0-9a-z.:-]+$/.test(deploy.permalink)) { return; }
      var box = document.createElement("div");
      var code = document.createElement("code");
      box.className = "copyable";
      code.tabIndex = 0;
      code.textContent = deploy.permalink;
      box.appendChild(code);
      place.textContent = words.address;
      place.appendChild(box);
      addCopy(box);
    }).catch(function () { /* the sentence with its link stays */ });
  });

  // The whole text of an answer, in its place; without this script the link leads to the file.
  document.querySelectorAll("a[data-whole]").forEach(function (link) {
    if (location.protocol === "file:") { return; }
    link.addEventListener("click", function (event) {
      if (event.ctrlKey || event.metaKey || event.shiftKey) { return; }
      event.preventDefault();
      var from = link.dataset.whole.split("-").map(Number);
      fetch(link.href).then(function (answer) {
        if (!answer.ok) { throw new Error(answer.status); }
        return answer.arrayBuffer();
      }).then(function (file) {
        var text = document.createElement("pre");
        text.tabIndex = 0;
        text.textContent = new TextDecoder().decode(file.slice(from[0], from[1]));
        link.parentElement.replaceWith(text);
        text.focus();
      }).catch(function () { location.href = link.href; });
    });
  });

  // The address of an answer opens it, and what it is folded in.
  function reveal() {
    var target = location.hash && document.getElementById(location.hash.slice(1));
    for (var box = target; box; box = box.parentElement) { if (box.localName === "details") { box.open = true; } }
    if (target && target.localName === "details") { target.scrollIntoView(); }
  }
  addEventListener("hashchange", reveal);
  reveal();

  // Maps and charts are one tab stop each: arrow keys, Home and End go from mark to mark.
  function rove(box, selector) {
    var marks = Array.from(box.querySelectorAll(selector));
    function stop(mark, value) { mark.setAttribute("tabindex", value); }
    marks.forEach(function (mark, place) { stop(mark, place ? "-1" : "0"); });
    box.addEventListener("keydown", function (event) {
      var place = marks.indexOf(event.target);
      if (place < 0 || event.ctrlKey || event.altKey || event.metaKey) { return; }
      var row = marks.filter(function (mark) { return mark.offsetTop === marks[0].offsetTop; }).length;
      var to = {
        ArrowLeft: place - 1, ArrowRight: place + 1, ArrowUp: place - row, ArrowDown: place + row,
        Home: 0, End: marks.length - 1
      }[event.key];
      if (to === undefined || !marks[to]) { return; }
      event.preventDefault();
      stop(marks[place], "-1");
      stop(marks[to], "0");
      marks[to].focus();
    });
  }
  document.querySelectorAll(".tiles").forEach(function (map) { rove(map, "a"); });

  // Under a chart: the figures of the mark below the pointer or in focus.
  document.querySelectorAll("figure.trend").forEach(function (figure) {
    var readout = figure.querySelector(".readout");
    var usual = Array.from(readout.childNodes);
    function show(event) {
      var mark = event.target.closest("a, g, path.event");
      var title = mark && mark.querySelector("title");
      if (title) { readout.textContent = title.textContent; } else { reset(); }
    }
    figure.addEventListener("pointerover", show);
    figure.addEventListener("focusin", show);
    function reset() { readout.replaceChildren.apply(readout, usual); }
    figure.addEventListener("pointerleave", reset);
    figure.addEventListener("focusout", reset);
    figure.querySelectorAll("svg.chart").forEach(function (chart) { rove(chart, "a"); });
  });
})();
