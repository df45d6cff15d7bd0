//! Words that are meant as others: letters alike, or a few of them wrong.

/// Longest word that is compared letter by letter, in bytes. The time that it takes grows with the
/// square of the length, and nobody mistypes longer names: they are copied.
const MAX_COMPARED_BYTES: usize = 64;

/// The candidate that a person most likely meant by `word`: equal but for case and separators, or
/// a few letters away.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_COMPARED_BYTES {
        return None;
    }
    let folded = fold(word);
    let length = folded.chars().count();
    // Words of very different lengths are never similar, and comparing takes time.
    let comparable = |candidate: &&str| {
        if candidate.len() > MAX_COMPARED_BYTES {
            return false;
        }
        let own = candidate.chars().filter(|c| c.is_alphanumeric()).count();
        own.min(length) as f64 >= 0.65 * own.max(length) as f64
    };
    candidates
        .into_iter()
        .filter(comparable)
        .map(|candidate| {
            (
                candidate,
                strsim::normalized_damerau_levenshtein(&folded, &fold(candidate)),
            )
        })
        .filter(|(_, similarity)| *similarity >= 0.65)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(candidate, _)| candidate)
}

/// Whether two words are equal but for case and separators.
pub fn same_word(a: &str, b: &str) -> bool {
    fold(a) == fold(b)
}

/// The letters and digits of a word, in lower case.
pub fn fold(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_ignores_case_and_separators() {
        let keys = ["taskQueue", "type", "workflowId", "idReusePolicy"];
        assert_eq!(nearest("task_queue", keys), Some("taskQueue"));
        assert_eq!(nearest("taskqeue", keys), Some("taskQueue"));
        assert_eq!(nearest("IDReusePolicy", keys), Some("idReusePolicy"));
        assert_eq!(nearest("colour", keys), None);
    }

    #[test]
    fn long_words_are_not_compared() {
        let long = "x".repeat(1_900);
        let other = format!("{}y", &long[1..]);
        assert_eq!(nearest(&long, [other.as_str()]), None);
        assert_eq!(
            nearest(&long[..64], [&other[other.len() - 64..]]),
            Some(&other[other.len() - 64..])
        );
        assert_eq!(nearest("xxxx", [other.as_str()]), None);
    }
}
