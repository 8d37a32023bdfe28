//! Figures of a text: the length of its sentences, and the words that make it hard to read.

use serde::{Deserialize, Serialize};

/// Words that begin relative and interrogative clauses.
const RELATIVE: [&str; 10] = [
    "that", "which", "what", "where", "who", "whose", "whom", "whatever", "wherever", "whoever",
];
/// Phrases of a literal translation. A plain sentence has a subject and a standard verb in their
/// place.
const BANNED: [&str; 17] = [
    "told",
    "tells",
    "nobody",
    "somebody",
    "whoever",
    "gone on with",
    "goes on with",
    "is none",
    "are none",
    "anew",
    "lets go",
    "to be had",
    "what there is",
    "what stands",
    "stands in",
    "stands at",
    "stands there",
];

/// The figures of a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    /// Words of all sentences.
    pub(super) words: usize,
    /// The length in words that 95% of the sentences do not exceed.
    pub(super) longest: usize,
    /// Relative words per 1,000 words.
    pub(super) relatives: usize,
    /// Semicolons per 1,000 words.
    pub(super) semicolons: usize,
    /// Banned phrases.
    pub(super) banned: usize,
}

impl Figures {
    pub(super) fn of(sentences: &[String]) -> Self {
        let mut lengths = Vec::new();
        let (mut relatives, mut semicolons, mut banned) = (0, 0, 0);
        for sentence in sentences {
            let words = words(sentence);
            relatives += words
                .iter()
                .filter(|word| RELATIVE.contains(&word.as_str()))
                .count();
            semicolons += sentence.matches(';').count();
            banned += count_banned(&words);
            lengths.push(words.len());
        }
        lengths.sort_unstable();
        let words: usize = lengths.iter().sum();
        let per_thousand = |count: usize| (count * 1000).checked_div(words).unwrap_or_default();
        Self {
            words,
            longest: lengths
                .get(lengths.len() * 95 / 100)
                .copied()
                .unwrap_or_default(),
            relatives: per_thousand(relatives),
            semicolons: per_thousand(semicolons),
            banned,
        }
    }

    /// Names each figure worse than the accepted one.
    pub(super) fn worse_than(&self, accepted: &Self) -> Vec<String> {
        [
            ("words in long sentences", self.longest, accepted.longest),
            (
                "relative words per 1,000",
                self.relatives,
                accepted.relatives,
            ),
            (
                "semicolons per 1,000 words",
                self.semicolons,
                accepted.semicolons,
            ),
            ("banned phrases", self.banned, accepted.banned),
        ]
        .into_iter()
        .filter(|(_, now, before)| now > before)
        .map(|(what, now, before)| format!("{what}: {now}, accepted {before}"))
        .collect()
    }
}

/// Whether a sentence raises a figure above the goal: long, or with a relative word, a semicolon or
/// a banned phrase.
pub(super) fn is_hard(sentence: &str) -> bool {
    let words = words(sentence);
    words.len() > 25
        || sentence.contains(';')
        || words.iter().any(|word| RELATIVE.contains(&word.as_str()))
        || count_banned(&words) > 0
}

fn words(sentence: &str) -> Vec<String> {
    let words =
        sentence.split(|letter: char| !letter.is_alphanumeric() && letter != '\'' && letter != '-');
    words
        .filter(|word| word.chars().any(char::is_alphabetic))
        .map(str::to_lowercase)
        .collect()
}

fn count_banned(words: &[String]) -> usize {
    let sentence = format!(" {} ", words.join(" "));
    BANNED
        .iter()
        .map(|phrase| sentence.matches(&format!(" {phrase} ")).count())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_counts_its_own() {
        let figures =
            Figures::of(&["Nobody is told what happens; it stands in the log".to_owned()]);
        let expected = Figures {
            words: 10,
            longest: 10,
            relatives: 100,
            semicolons: 100,
            banned: 3,
        };
        assert_eq!(figures, expected);
        let plain = Figures::of(&["The log names the cause".to_owned()]);
        assert_eq!(plain.worse_than(&figures), [""; 0]);
        assert_eq!(figures.worse_than(&plain).len(), 4);
    }
}
