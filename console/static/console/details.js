// A container's page: what somebody selects in its probes' output stays until the selection is gone.
"use strict";

(() => {
  let isOld = false; // what was sent last has not been put in

  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const selection = document.getSelection();
    const { target } = event.detail;
    if (target.id !== "container-details" || !selection || selection.isCollapsed || !target.contains(selection.anchorNode)) return;
    event.detail.shouldSwap = false;
    isOld = true;
  });

  document.addEventListener("htmx:configRequest", (event) => {
    if (!isOld || event.detail.elt.id !== "container-overview") return;
    event.detail.path = event.detail.path.replace(/seen=[^&]*/, "seen=");
    isOld = false;
  });
})();
