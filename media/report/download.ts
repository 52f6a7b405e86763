/** Saving from the page itself, for the file that is opened in a browser without an editor behind it. */

/** Hands a text to the browser as a download. */
export function download(name: string, type: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
