// Rejecting, skipping and calling it a defect ask for a reason: one number and it is sent.

export function startReasons() {
  const dialog = document.getElementById("reasons");
  const title = dialog.querySelector("h2");
  let asking;

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-asks]");
    if (!button || button.form.elements.reason.value) return;
    event.preventDefault();
    asking = button;
    title.textContent = button.dataset.asks;
    dialog.showModal();
  });

  function send(reason) {
    dialog.close();
    asking.form.elements.reason.value = reason;
    asking.form.requestSubmit(asking);
  }

  dialog.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-reason]");
    if (chosen) send(chosen.dataset.reason);
    else if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    if (!/^[1-9]$/.test(event.key)) return;
    const chosen = dialog.querySelectorAll("[data-reason]")[Number(event.key) - 1];
    if (chosen) {
      event.preventDefault();
      send(chosen.dataset.reason);
    }
  });
}
