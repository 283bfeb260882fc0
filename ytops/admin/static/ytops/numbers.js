// A browser posts what it cannot read as a number as nothing, and nothing means inherit.
document.addEventListener("submit", event => {
  const unreadable = [...event.target.elements].find(input => input.validity?.badInput);
  if (unreadable && event.submitter?.name !== "_inherit") {
    event.preventDefault();
    unreadable.reportValidity();
  }
});
