// What only scripts can do is shown, and what stands in for it is not.
document.documentElement.classList.add("has-scripts");

// "Copy for support": puts what a field holds on the clipboard, and says so.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copies);
  let copied = true;
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // A browser hands out its clipboard over https only; over plain http in a clinic this older way works.
    field.select();
    copied = document.execCommand("copy");
    button.focus();
  }
  const said = document.getElementById(button.dataset.says);
  said.textContent = "";
  said.textContent = copied ? "Copied." : "It could not be copied: select it and copy it by hand.";
});

// A placeholder that is pressed stands where the cursor was, and the page weighs the text anew.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-inserts]");
  if (!button) return;
  const text = document.getElementById(button.dataset.into);
  text.setRangeText(button.dataset.inserts, text.selectionStart, text.selectionEnd, "end");
  text.focus();
  text.dispatchEvent(new Event("input", { bubbles: true }));
});

// A text that is begun on the patient's page stays: what began it leads back to it.
document.addEventListener("click", (event) => {
  const text = document.querySelector("#composer textarea");
  if (!text || !event.target.closest("#write")) return;
  event.preventDefault();
  event.stopPropagation();
  text.focus();
}, true);

// A file that is too large is said so before it is sent: the server would hang up in the midst of it.
document.addEventListener("change", (event) => {
  const field = event.target.closest("input[data-most]");
  if (!field) return;
  const isTooLarge = field.files.length && field.files[0].size > Number(field.dataset.most);
  field.setCustomValidity(isTooLarge ? field.dataset.tooLarge : "");
  field.reportValidity();
});
