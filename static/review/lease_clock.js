// How long the instance is still mine. Reading renews it, at most once a minute.

const RENEW_EVERY_MS = 60_000;
let timer;
let stopListening = new AbortController();

// A card that is fetched ahead is held from its arrival on, not from when it is shown.
export function startTime(card) {
  const clock = card.querySelector("#lease");
  if (clock) clock.dataset.ends ??= Date.now() + 1000 * Number(clock.dataset.seconds ?? 0);
}

export function startClock(card) {
  clearInterval(timer);
  stopListening.abort();
  const clock = card.querySelector("#lease");
  if (!clock) return;
  const words = clock.querySelector("span");
  const form = card.querySelector("#decision");
  const full = 1000 * Number(clock.dataset.seconds ?? 0);
  startTime(card);
  let ends = Number(clock.dataset.ends);
  let renewed = full ? ends - full : 0;

  function tick() {
    const left = Math.max(0, Math.round((ends - Date.now()) / 1000));
    clock.classList.toggle("short", left < 60);
    words.textContent = left
      ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`
      : "time is over, still yours until somebody else takes it";
  }

  async function renew() {
    if (Date.now() - renewed < RENEW_EVERY_MS) return;
    renewed = Date.now();
    const sent = new FormData(form);
    const body = new URLSearchParams({ lease: sent.get("lease"), csrf_token: sent.get("csrf_token") });
    const answer = await fetch(clock.dataset.renew, { method: "POST", body }).catch(() => null);
    if (answer?.ok) ends = Date.now() + full;
    if (answer?.status === 409) words.textContent = "somebody else has it now; your text stays here";
    if (answer?.status === 409) clearInterval(timer);
  }

  stopListening = new AbortController();
  for (const activity of ["keydown", "pointerdown", "wheel"]) {
    document.addEventListener(activity, renew, { signal: stopListening.signal, passive: true });
  }
  tick();
  timer = setInterval(tick, 1000);
}
