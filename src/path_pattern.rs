//! Patterns of paths: in the paths of the APIs and of fault rules.

/// The maximum length of a pattern.
const MAX_BYTES: usize = 500;
/// The maximum length of a path that can match.
const MAX_PATH_BYTES: usize = 4_096;

/// Checks a pattern.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn check(pattern: &str) -> Result<(), String> {
    const WANTED: &str = "a path from /, in which {name} is one segment and * is any text";
    let is_visible = pattern.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#');
    if !pattern.starts_with('/') || !is_visible || pattern.len() > MAX_BYTES {
        let shown: String = pattern.chars().take(80).collect();
        return Err(format!("{WANTED}, got {shown:?}"));
    }
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    for segment in pattern.split('/').filter(|segment| segment.contains(['{', '}'])) {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        if !name.is_some_and(is_name) {
            return Err(format!("{WANTED}, got the segment {segment:?}"));
        }
        if pattern.matches(segment).count() > 1 {
            return Err(format!("{WANTED}, got {segment} twice"));
        }
    }
    Ok(())
}

/// The names in a pattern with their values, if it matches a path. `*` matches any text, also over several segments, and
/// `{name}` matches one segment that is not empty. The time is at most the product of the lengths, so a path of more than
/// [`MAX_PATH_BYTES`] matches nothing.
pub(crate) fn captures<'a>(pattern: &'a str, path: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    if path.len() > MAX_PATH_BYTES {
        return None;
    }
    let (mut wanted, mut given) = (pattern, path);
    let mut found: Vec<(&str, &str)> = Vec::new();
    // The pattern after the last `*`, the path from where that part was tried, and the names found before it.
    let mut star: Option<(&str, &str, usize)> = None;
    loop {
        if let Some(rest) = wanted.strip_prefix('*') {
            star = Some((rest, given, found.len()));
            wanted = rest;
            continue;
        }
        if let Some((name, rest)) = wanted.strip_prefix('{').and_then(|wanted| wanted.split_once('}')) {
            let (segment, left) = given.split_at(given.find('/').unwrap_or(given.len()));
            if !segment.is_empty() {
                found.push((name, segment));
                (wanted, given) = (rest, left);
                continue;
            }
        } else {
            match (wanted.chars().next(), given.chars().next()) {
                (None, None) => return Some(found),
                (Some(one), Some(other)) if one == other => {
                    (wanted, given) = (&wanted[one.len_utf8()..], &given[other.len_utf8()..]);
                    continue;
                }
                _ => {}
            }
        }
        // The last `*` takes one character more.
        let (rest, from, names) = star?;
        let mut from = from.chars();
        from.next()?;
        found.truncate(names);
        (wanted, given) = (rest, from.as_str());
        star = Some((rest, given, names));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_paths() {
        for (pattern, path, expected) in [
            ("/a", "/a", Some(&[][..])),
            ("/a", "/a/", None),
            ("/a/*", "/a/b/c", Some(&[])),
            ("/a/*", "/a/", Some(&[])),
            ("/a/*/d", "/a/b/c/d", Some(&[])),
            ("/a/*/d", "/a/b/c", None),
            ("*", "/any", Some(&[])),
            ("/a/{id}", "/a/b", Some(&[("id", "b")])),
            ("/a/{id}", "/a/", None),
            ("/a/{id}", "/a/b/c", None),
            ("/{one}/x/{two}", "/1/x/2", Some(&[("one", "1"), ("two", "2")])),
            ("/{one}/*/{two}", "/1/x/y/2", Some(&[("one", "1"), ("two", "2")])),
        ] {
            assert_eq!(captures(pattern, path).as_deref(), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for pattern in ["", "a", "/a b", "/{}", "/{a", "/x{a}", "/{a-b}", "/é", "/a?b=1"] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
        assert_eq!(check("/o/api/v9/{id}/*"), Ok(()));
    }
}
