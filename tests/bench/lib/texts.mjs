/** Made texts and questions about them, seeded; runs in the page. */

/** Words of a made passage. */
const N_WORDS = 34;

/** Questions of a few words each, from real passages. */
export function questionsOf(passages) {
  return passages.flatMap((text) => [0, 1, 2, 3].map((i) => text.split(/\s+/).slice(8 * i, 8 * i + 8).join(' ')));
}

/** Parts of real passages that are in no question. */
export function centresOf(passages) {
  return passages.flatMap((text) => [0, 1, 2, 3].map((i) => text.split(/\s+/).slice(32 + 14 * i, 46 + 14 * i).join(' '))).filter((text) => text.length > 20);
}

/**
 * A document of passages `first` to `first + n` whose words are as frequent as those of real ones, but are none of any
 * question, nor like one as a misspelt word is: so that what is found for a question is found by its vector. A question
 * in words of the passages is `spelt(question)`.
 */
export function documentOf(passages, first, n) {
  const words = spelt(passages.join(' ')).split(/\s+/);
  let state = first + 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return words[Math.floor((state / 2 ** 32) * words.length)];
  };
  return Array.from({ length: n }, (_, i) => `## n${first + i}\n\n${Array.from({ length: N_WORDS }, next).join(' ')}.`).join('\n\n');
}

/** The next letter: no word is misspelt in its first one. */
function after(letter) {
  return letter === 'z' ? 'a' : String.fromCharCode(letter.charCodeAt(0) + 1);
}

export function spelt(text) {
  return text.replaceAll(/[^A-Za-z\s]/g, '').replaceAll(/[A-Za-z]+/g, (word) => `${after(word.charAt(0).toLowerCase())}${word.slice(1).toLowerCase()}o`);
}
