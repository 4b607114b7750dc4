// The final answer of a completion and its grade, by the rules of publisher/graders/extract.py.
(function () {
  "use strict";

  var SPACES = "[\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*";
  var SPECIAL = new RegExp(
    "<\\|(?:endoftext|end_of_text|im_end|im_start|eot_id|eom_id|end|return|start_header_id)\\|>" +
    "|</s>|<eos>|<end_of_turn>|<｜end▁of▁sentence｜>|<｜User｜>", "u");

  function spoken(text) {
    var end = text.search(SPECIAL);
    if (end >= 0) { text = text.slice(0, end); }
    var thoughts = text.lastIndexOf("<think>"), closed = text.lastIndexOf("</think>");
    if (thoughts > closed) { return null; }
    return closed >= 0 ? text.slice(closed + "</think>".length) : text;
  }

  function content(text, start) {
    if (text[start] !== "{") {
      var bare = /^[+-]?\p{Nd}[\p{Nd},./]*/u.exec(text.slice(start));
      return bare ? bare[0].replace(/[.,/]+$/, "") : null;
    }
    for (var depth = 0, index = start; index < text.length; index += 1) {
      if (text[index] === "\\") { index += 1; continue; }
      depth += text[index] === "{" ? 1 : text[index] === "}" ? -1 : 0;
      if (depth === 0) { return text.slice(start + 1, index); }
    }
    return null;
  }

  function boxed(text) {
    var said = spoken(text);
    if (said === null) { return null; }
    var boxes = Array.from(said.matchAll(new RegExp("\\\\(?:boxed|fbox)(?![A-Za-z])" + SPACES, "gu"))).reverse();
    for (var box of boxes) {
      var found = content(said, box.index + box[0].length);
      if (found === null) { return null; }
      if (found.trim()) { return found.trim(); }
    }
    return null;
  }

  // Only plain whole numbers are compared: there every grader agrees with a comparison of their digits.
  window.gradeAnswer = function (text, finish, expected) {
    var plain = /^-?(?:0|[1-9][0-9]{0,99})$/;
    if (!plain.test(expected)) { return { word: "ungraded", answer: "" }; }
    if (finish === "length") { return { word: "truncated", answer: "" }; }
    var answer = boxed(text);
    if (answer === null) { return { word: "unanswered", answer: "" }; }
    if (!plain.test(answer) || answer === "-0") { return { word: "ungraded", answer: answer }; }
    return { word: answer === expected ? "right" : "wrong", answer: answer };
  };
})();
