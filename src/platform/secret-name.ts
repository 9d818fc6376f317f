/** Names that hold a secret, by whole words of snake_case, kebab-case or camelCase. */
const SECRET_WORD = /^(tokens?|secrets?|keys?|credentials?|passwords?|passphrases?|authorization|cookies?)$/;
/** Names with such a word that hold none: identifiers, public halves, and how often keys change. */
const PUBLIC_NAME = /^(key[_-]?ids?|public[_-]?keys?|token[_-]?kind|credential[_-]?ids?|key[_-]?rotation)$/i;

/** Whether a field of this name is to be hidden from logs and error messages. Errs towards hiding. */
export function isSecretName(name: string): boolean {
  if (PUBLIC_NAME.test(name)) return false;
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/);
  return words.some((word) => SECRET_WORD.test(word));
}
