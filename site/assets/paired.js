// The gate's own test of two runs on the same problems: the same steps as publisher/gate/stratified.py, to the digit.
// A stratum is one problem: [right, drawn, right before, drawn before].
(() => {
  "use strict";
  var Z95 = 1.959963984540054;
  var NEGLIGIBLE = 1e-25;

  // How many of `drawn` are marked, without replacement: the masses of the numbers from `start` on.
  function hypergeometric(population, marked, drawn) {
    var low = Math.max(0, drawn + marked - population), high = Math.min(drawn, marked);
    var mode = Math.min(high, Math.max(low, Math.floor((drawn + 1) * (marked + 1) / (population + 2))));
    var masses = new Array(high - low + 1).fill(0), x;
    masses[mode - low] = 1;
    for (x = mode; x < high; x += 1) {
      masses[x + 1 - low] = masses[x - low] * (marked - x) * (drawn - x) /
        ((x + 1) * (population - marked - drawn + x + 1));
    }
    for (x = mode; x > low; x -= 1) {
      masses[x - 1 - low] = masses[x - low] * x * (population - marked - drawn + x) /
        ((marked - x + 1) * (drawn - x + 1));
    }
    var total = masses.reduce((sum, mass) => sum + mass, 0);
    return { start: low, masses: masses.map((mass) => mass / total) };
  }

  // Cut off both ends while what is cut off stays negligible.
  function trimmed(start, masses) {
    var first = 0, last = masses.length, gone = masses[0];
    while (gone < NEGLIGIBLE && first < masses.length - 1) { first += 1; gone += masses[first]; }
    gone = masses[last - 1];
    while (gone < NEGLIGIBLE && last > first + 1) { last -= 1; gone += masses[last - 1]; }
    return { start: start + first, masses: masses.slice(first, last) };
  }

  function convolved(parts) {
    return parts.sort((a, b) => a.masses.length - b.masses.length).reduce((whole, part) => {
      var masses = new Array(whole.masses.length + part.masses.length - 1).fill(0);
      part.masses.forEach((weight, place) => {
        whole.masses.forEach(function (mass, other) { masses[place + other] += weight * mass; });
      });
      return trimmed(whole.start + part.start, masses);
    }, { start: 0, masses: [1] });
  }

  // The two-sided mid-p value of the exact conditional test; McNemar's where every problem has one sample per side.
  function pValue(strata) {
    var seen = 0;
    var sum = convolved(strata.map((s) => {
      seen += s[0];
      return hypergeometric(s[1] + s[3], s[0] + s[2], s[1]);
    }));
    var below = 0, above = 0;
    sum.masses.forEach((mass, place) => {
      var value = sum.start + place;
      if (value <= seen) { below += value === seen ? mass / 2 : mass; }
      if (value >= seen) { above += value === seen ? mass / 2 : mass; }
    });
    return Math.min(1, 2 * Math.min(below, above));
  }

  function difference(strata) {
    return strata.reduce((sum, s) => sum + s[0] / s[1] - s[2] / s[3], 0) / strata.length;
  }

  // The rate of the highest likelihood among those where the earlier one is lower by `margin` (Miettinen & Nurminen).
  function restrictedRate(s, margin) {
    var total = s[1] + s[3], hits = s[0] + s[2];
    if (margin === 0) { return hits / total; }
    var l2 = (s[1] + 2 * s[3]) * margin - total - hits;
    var l1 = (s[3] * margin - total - 2 * s[2]) * margin + hits;
    var l0 = s[2] * margin * (1 - margin);
    var third = l2 / (3 * total);
    var q = third ** 3 - l1 * l2 / (6 * total * total) + l0 / (2 * total);
    var p = Math.sqrt(Math.max(0, third * third - l1 / (3 * total))) * (q < 0 ? -1 : 1);
    var angle = p ? (Math.PI + Math.acos(Math.min(1, Math.max(-1, q / p ** 3)))) / 3 : 0;
    return Math.min(1, 1 + margin, Math.max(0, margin, 2 * p * Math.cos(angle) - third + margin));
  }

  function scoreZ(strata, margin) {
    var total = 0, variance = 0;
    strata.forEach((s) => {
      total += s[0] / s[1] - s[2] / s[3] - margin;
      var now = restrictedRate(s, margin), old = Math.min(1, Math.max(0, now - margin));
      variance += (now * (1 - now) / s[1] + old * (1 - old) / s[3]) * (s[1] + s[3]) / (s[1] + s[3] - 1);
    });
    if (variance <= 0) { return total ? (total > 0 ? Infinity : -Infinity) : 0; }
    return total / Math.sqrt(variance);
  }

  // Where an increasing function crosses zero, by bisection.
  function root(rising, low, high) {
    while (high - low > 1e-7) {
      var middle = (low + high) / 2;
      if (rising(middle) < 0) { low = middle; } else { high = middle; }
    }
    return (low + high) / 2;
  }

  // The 95 % interval of the difference, as shares: what the score test does not reject.
  function interval(strata) {
    var seen = difference(strata);
    return [
      root((margin) => Z95 - scoreZ(strata, margin), -1, seen),
      root((margin) => -Z95 - scoreZ(strata, margin), seen, 1)
    ];
  }

  window.paired = { pValue, difference, interval, z95: Z95 };
})();
