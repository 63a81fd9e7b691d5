(function () {
  "use strict";
  var busy = document.getElementById("processing");
  function look() {
    fetch(busy.dataset.status, { headers: { Accept: "application/json" }, cache: "no-store" })
      .then(function (answer) { return answer.json(); })
      .then(function (state) {
        if (state.processing) { window.setTimeout(look, 1000); }
        else { window.location.replace(busy.dataset.page); }
      })
      .catch(function () { window.setTimeout(look, 3000); });
  }
  if (busy) { window.setTimeout(look, 700); }

  document.querySelectorAll("form").forEach(function (form) {
    form.addEventListener("submit", function (event) {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "1";
      form.querySelector("button").disabled = true;
    });
    window.addEventListener("pageshow", function (event) {
      if (event.persisted) { delete form.dataset.sent; form.querySelector("button").disabled = false; }
    });
  });

  document.querySelectorAll("time").forEach(function (time) {
    var at = new Date(time.dateTime);
    time.textContent = at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    var seconds = Math.round((at - Date.now()) / 1000), size = Math.abs(seconds);
    var unit = size < 90 ? ["second", 1] : size < 5400 ? ["minute", 60]
      : size < 129600 ? ["hour", 3600] : ["day", 86400];
    var words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
    if (size < 604800) { time.textContent += ", " + words.format(Math.round(seconds / unit[1]), unit[0]); }
  });

  var copy = document.getElementById("copy"), token = document.getElementById("goto-access-token");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", function () {
      navigator.clipboard.writeText(token.value).then(function () {
        copy.textContent = copy.dataset.done;
      });
    });
  }
})();
