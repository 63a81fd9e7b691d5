(function () {
  "use strict";
  // A live region is read out when something comes into it, not for what it was loaded with.
  var live = document.getElementById("live");
  if (live && live.firstElementChild) {
    var told = Array.from(live.children);
    live.replaceChildren();
    window.setTimeout(function () { live.append.apply(live, told); }, 150);
    var busy = told[0].id === "processing" && told[0];
  }
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
    var button = form.querySelector("[type=submit]");
    form.addEventListener("submit", function (event) {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "1";
      button.disabled = true;
    });
    window.addEventListener("pageshow", function (event) {
      if (event.persisted) { delete form.dataset.sent; button.disabled = false; }
    });
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
