// Takes the ticket out of the address, which people copy to share; the page has been rendered with it already.
const address = new URL(location.href);
address.searchParams.delete("ticket");
history.replaceState(history.state, "", address);
// What the tab kept for the inbox page is not needed any more.
try {
  sessionStorage.removeItem("sent");
} catch {
  // No storage here.
}
