//! Names of objects from names in the cloud, which may be any text and need not be unique.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::mend_name;

/// A valid name for each of these, different from all others: made of its text and, where that is
/// not enough, of its id. A resource that comes or goes changes the names of its namesakes only.
pub(super) fn unique(wanted: &[(String, &str)]) -> Vec<String> {
    let bases: Vec<String> = wanted.iter().map(|(text, id)| base(text, id)).collect();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for base in &bases {
        *count.entry(base).or_default() += 1;
    }
    // A name that one has to itself is not taken by another one's suffix.
    let alone = bases.iter().filter(|it| count[it.as_str()] == 1);
    let mut taken: BTreeSet<String> = alone.cloned().collect();
    let mut names = Vec::new();
    for (base, (_, id)) in bases.iter().zip(wanted) {
        if count[base.as_str()] == 1 {
            names.push(base.clone());
            continue;
        }
        let first = format!("{base}-{}", short(id));
        let more = (2..).map(|number| format!("{first}-{number}"));
        let name = std::iter::once(first.clone())
            .chain(more)
            .find(|it| !taken.contains(it))
            .unwrap_or(first);
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

/// Leaves room for a suffix in the 253 characters of a name.
const MOST: usize = 200;

fn base(text: &str, id: &str) -> String {
    let cut: String = text.chars().take(MOST).collect();
    // Two dots, or a dot beside a dash, are no end of a label.
    let plain = mend_name(&cut).or_else(|| mend_name(&cut.replace('.', "-")));
    plain.unwrap_or_else(|| format!("unnamed-{}", short(id)))
}

/// The beginning of an id, as people know it by.
fn short(id: &str) -> String {
    let last = id.rsplit('/').next().unwrap_or(id);
    let word = |it: &char| it.is_ascii_alphanumeric();
    let short: String = last.chars().filter(word).take(8).collect();
    if short.is_empty() {
        "0".to_owned()
    } else {
        short.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::name_fault;

    #[test]
    fn names_are_made_valid_and_only_namesakes_get_a_suffix() {
        let wanted = [
            ("AUTO_DEP DB", "1f2e3d4c-aaaa"),
            ("web", "11111111-1"),
            ("Web", "22222222-2"),
            ("web-22222222", "3"),
            ("...", "44444444-4"),
            ("a..b", "5"),
            ("日本", "66666666-6"),
        ];
        let wanted: Vec<(String, &str)> =
            wanted.iter().map(|(a, b)| ((*a).to_owned(), *b)).collect();
        assert_eq!(
            unique(&wanted),
            [
                "auto-dep-db",
                "web-11111111",
                "web-22222222-2",
                "web-22222222",
                "unnamed-44444444",
                "a--b",
                "unnamed-66666666",
            ]
        );
    }

    proptest! {
        #[test]
        fn every_name_is_valid_and_there_once(texts in proptest::collection::vec("[aA._ -]{0,4}|\\PC{0,300}", 0..12)) {
            let ids: Vec<String> = (0..texts.len()).map(|it| format!("{it}/{it}")).collect();
            let wanted: Vec<(String, &str)> = texts.into_iter().zip(ids.iter().map(String::as_str)).collect();
            let names = unique(&wanted);
            let different: BTreeSet<&String> = names.iter().collect();
            prop_assert_eq!(different.len(), wanted.len());
            for name in &names {
                prop_assert_eq!(name_fault(name), None, "{}", name);
            }
        }
    }
}
