// Passkeys: a form with data-passkey asks the browser for one, puts the answer into its field and is then sent as any other form.
"use strict";

(() => {
  const decode = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const encode = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  // The options come as JSON, where bytes are base64url; browsers want them as bytes.
  function readOptions(options) {
    const decoded = { ...options, challenge: decode(options.challenge) };
    if (options.user) decoded.user = { ...options.user, id: decode(options.user.id) };
    for (const list of ["allowCredentials", "excludeCredentials"]) {
      if (options[list]) decoded[list] = options[list].map((one) => ({ ...one, id: decode(one.id) }));
    }
    return decoded;
  }

  function writeAnswer(credential) {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = encode(credential.response[name]);
    }
    return JSON.stringify({ id: credential.id, rawId: credential.id, type: credential.type, response, clientExtensionResults: {} });
  }

  function explain(error) {
    if (error.name === "InvalidStateError") return "There is a passkey of yours for this console already.";
    if (error.name === "SecurityError") return "Passkeys do not work at this address. Open the console at its public address, by a host name.";
    if (error.name === "NotAllowedError") return "No passkey was used. Try again.";
    return "The browser could not use a passkey. Try again.";
  }

  async function ask(form) {
    if (!window.PublicKeyCredential) {
      throw new DOMException("no passkeys", "NotSupportedError");
    }
    let options = form.dataset.options && JSON.parse(form.dataset.options);
    if (form.dataset.optionsFrom) {
      const begun = await (await fetch(form.dataset.optionsFrom, { headers: { Accept: "application/json" } })).json();
      options = begun.options;
      form.elements.token.value = begun.token;
    }
    const publicKey = readOptions(options);
    const credential = await navigator.credentials[form.dataset.passkey]({ publicKey });
    form.elements.answer.value = writeAnswer(credential);
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-passkey]")) return;
    event.preventDefault();
    const problem = form.querySelector("[data-passkey-problem]");
    problem.hidden = true;
    const name = form.elements.name;
    if (name?.matches?.("input") && !name.value.trim()) {
      name.focus();
      return;
    }
    try {
      await ask(form);
    } catch (error) {
      problem.textContent = error.name === "NotSupportedError" && !window.PublicKeyCredential
        ? "Passkeys need HTTPS, or a browser on the console's own machine." : explain(error);
      problem.hidden = false;
      return;
    }
    form.submit();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) window.print();
  });
})();
