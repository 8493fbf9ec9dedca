// Messages in the reader's language: the page brings those that scripts use, and a message without one says itself.

const messages = JSON.parse(document.documentElement.dataset.messages ?? "{}");

const fill = (text, values) => text.replace(/%(?:%|\((\w+)\)s)/g, (found, name) => (found === "%%" ? "%" : String(values[name])));

/** A message with its values put in: _("%(seconds)s s", { seconds }). */
export const _ = (message, values = {}) => fill(messages[message] ?? message, values);

/** The same for a number of things; `num` is one of the values. */
export function ngettext(singular, plural, num, values = {}) {
  return fill(messages[singular] ?? (num === 1 ? singular : plural), { num, ...values });
}
