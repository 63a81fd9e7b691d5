(function () {
  "use strict";
  // A live region is read out when something comes into it, not for what it was loaded with. It is
  // a hidden one of its own, so that nothing that is seen moves.
  var live = document.getElementById("live"), told = document.getElementById("told");
  if (live && told && told.firstElementChild) {
    window.setTimeout(function () {
      var lines = told.querySelectorAll("h3,p:not(.reference)");
      live.textContent = "hireanalytiX: " + Array.from(lines, function (l) { return l.textContent; }).join(" ");
    }, 150);
  }
  var busy = document.getElementById("processing"), since = performance.now();
  function look() {
    fetch(busy.dataset.status, { headers: { Accept: "application/json" }, cache: "no-store" })
      .then(function (answer) { return answer.json(); })
      .then(function (state) {
        if (state.processing) { window.setTimeout(look, performance.now() - since < 5000 ? 250 : 1000); }
        else { window.location.replace(busy.dataset.page); }
      })
      .catch(function () { window.setTimeout(look, 3000); });
  }
  if (busy) { window.setTimeout(look, 150); }

  document.querySelectorAll("form").forEach(function (form) {
    var button = form.querySelector("[type=submit]");
    form.addEventListener("submit", function (event) {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "1";
      button.disabled = true;
      window.setTimeout(again, 10000);  // the visitor may have stopped the browser
    });
    function again() { delete form.dataset.sent; button.disabled = false; }
    window.addEventListener("pageshow", function (event) { if (event.persisted) { again(); } });
  });

  var page = document.documentElement.lang, own = navigator.language || page;
  var locale = own.split("-")[0] === page ? own : page;
  var words = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  function ago(at) {
    var seconds = Math.round((at - Date.now()) / 1000), size = Math.abs(seconds);
    var unit = size < 90 ? ["second", 1] : size < 5400 ? ["minute", 60]
      : size < 129600 ? ["hour", 3600] : ["day", 86400];
    return words.format(Math.round(seconds / unit[1]), unit[0]);
  }
  document.querySelectorAll("time").forEach(function (time) {
    var at = new Date(time.dateTime), relative = time.nextElementSibling;
    time.textContent = at.toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });
    if (relative && relative.className === "ago") {
      relative.textContent = ago(at);
      relative.hidden = false;
    }
  });

  document.querySelectorAll("[data-copies]").forEach(function (button) {
    if (!navigator.clipboard) { return; }
    var field = document.getElementById(button.dataset.copies), name = button.textContent;
    button.hidden = false;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(field.dataset.value || field.value || field.textContent)
        .then(function () {
          button.textContent = button.dataset.done;
          window.setTimeout(function () { button.textContent = name; }, 3000);
        });
    });
  });
  // Clocks decide, of the two the one that is ahead; they are looked at each second, as timers and
  // one of the clocks stand still while a computer sleeps, and no event tells that it woke up.
  var token = document.querySelector("[data-seconds]"), opened = Date.now(), begun = performance.now();
  function hide() {
    if (!token) { return; }
    var gone = Math.max(Date.now() - opened, performance.now() - begun);
    var left = token.dataset.seconds * 1000 - gone;
    if (left > 0) { window.setTimeout(hide, Math.min(left, 1000)); return; }
    document.querySelectorAll("[data-hides],[data-copies]").forEach(function (b) { b.remove(); });
    document.getElementById("token-help").textContent = token.dataset.hidden;
    delete token.dataset.value;
    token.textContent = token.value = token.dataset.mask;
    token.rows = 1;
    token = null;
  }
  hide();
  document.addEventListener("visibilitychange", hide);
  window.addEventListener("pageshow", hide);

  document.querySelectorAll("[data-unmasks]").forEach(function (button) {
    var field = document.getElementById(button.dataset.unmasks), name = button.textContent;
    button.hidden = false;
    button.addEventListener("click", function () {
      var masked = field.classList.toggle("masked");
      button.textContent = masked ? name : button.dataset.other;
    });
  });

  document.querySelectorAll("[data-hides]").forEach(function (button) {
    var field = document.getElementById(button.dataset.hides), name = button.textContent;
    button.hidden = false;
    button.addEventListener("click", function () {
      var shown = button.textContent === name;
      if (shown) { field.dataset.value = field.value; }
      field.value = shown ? button.dataset.mask : field.dataset.value;
      button.textContent = shown ? button.dataset.other : name;
    });
  });
})();
