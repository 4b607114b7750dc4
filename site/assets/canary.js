// Moves a share of the readers to a candidate. What decides stays in the reader's browser; nothing is sent anywhere.
(function () {
  "use strict";
  var told = document.currentScript.dataset, address = new URL(location.href), asked = address.searchParams;
  var wish = asked.get("canary"), reader = asked.get("reader");

  // A page that the candidate does not have. The host leads home where `from` stands alone, and this where it does not.
  if (told.home && asked.get("from") === "live") { location.replace(told.home); return; }

  // Words for this script leave the address bar, a reader's identifier first of all.
  var own = ["canary", "reader", "from"].filter(function (name) { return asked.has(name); });
  if (own.length) {
    own.forEach(function (name) { asked.delete(name); });
    history.replaceState(history.state, "", address);
  }
  // Only the main address splits its readers: a permanent one shows what it names, and so does the candidate's.
  if (location.origin !== told.main) { return; }

  // FNV-1a, then the last steps of MurmurHash3, so that alike texts fall anywhere. 32 bits cannot be traced back.
  function hash(text) {
    var bytes = new TextEncoder().encode(text), value = 0x811c9dc5;
    bytes.forEach(function (byte) { value = Math.imul(value ^ byte, 0x01000193); });
    value = Math.imul(value ^ value >>> 16, 0x85ebca6b);
    value = Math.imul(value ^ value >>> 13, 0xc2b2ae35);
    return (value ^ value >>> 16) >>> 0;
  }
  // A browser may forbid that anything is stored: such a reader stays with what is live, unless they ask.
  function read(key) { try { return localStorage.getItem(key); } catch (error) { return null; } }
  function write(key, value) {
    try { localStorage.setItem(key, value); } catch (error) { /* seen by reading it again */ }
    return read(key) === value;
  }
  function forget(key) { try { localStorage.removeItem(key); } catch (error) { /* then nothing was stored */ } }

  function isMoved() {
    if (wish === "on" || wish === "off") { write("canary-wish", wish); }
    if (wish === "forget") { forget("canary-wish"); forget("canary-reader"); return false; }
    var wished = wish || read("canary-wish");
    if (wished === "on" || wished === "off") { return wished === "on"; }
    if (navigator.globalPrivacyControl || navigator.doNotTrack === "1") { return false; }
    var mark = reader ? hash(reader).toString(16) : read("canary-reader");
    if (!mark || !/^[0-9a-f]{1,8}$/.test(mark)) {
      mark = crypto.getRandomValues(new Uint32Array(1))[0].toString(16);
    }
    // Below a share stays below a larger one; another canary's number draws anew.
    return write("canary-reader", mark) && hash(mark + "." + told.number) % 10000 < told.percent * 100;
  }

  if (isMoved()) {
    asked.set("from", "live");
    location.replace(told.candidate + address.pathname + address.search + address.hash);
  }
})();
