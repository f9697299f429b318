//! Sets of spans of time.

use crate::world::Millis;

/// A set of instants, as spans that include both ends, in order and apart from each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans(Vec<(i64, i64)>);

impl Spans {
    /// The union of spans, both ends included. Empty ones count for nothing.
    pub(super) fn union(spans: impl IntoIterator<Item = (Millis, Millis)>) -> Self {
        let mut all: Vec<(i64, i64)> =
            spans.into_iter().map(|(from, to)| (from.0, to.0)).filter(|(from, to)| from <= to).collect();
        all.sort_unstable();
        let mut union: Vec<(i64, i64)> = Vec::new();
        for (from, to) in all {
            match union.last_mut() {
                Some((_, end)) if from <= end.saturating_add(1) => *end = to.max(*end),
                _ => union.push((from, to)),
            }
        }
        Self(union)
    }

    /// The number of milliseconds from `from` to `to`, both included, that are in no span.
    pub(super) fn missing(&self, from: Millis, to: Millis) -> i64 {
        let first = self.0.partition_point(|(_, end)| *end < from.0);
        let mut missing = to.0 - from.0 + 1;
        for (start, end) in self.0[first..].iter().take_while(|(start, _)| *start <= to.0) {
            missing -= end.min(&to.0) - start.max(&from.0) + 1;
        }
        missing.max(0)
    }

    /// The spans between those of the set, both ends included.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (Millis, Millis)> + '_ {
        self.0.windows(2).map(|pair| (Millis(pair[0].1 + 1), Millis(pair[1].0 - 1)))
    }

    /// The first instant of the set.
    pub(super) fn start(&self) -> Option<Millis> {
        self.0.first().map(|(from, _)| Millis(*from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_has_gaps_and_covers_spans() {
        let spans = |pairs: &[(i64, i64)]| Spans::union(pairs.iter().map(|(from, to)| (Millis(*from), Millis(*to))));
        let set = spans(&[(20, 30), (0, 5), (6, 10), (25, 40), (9, 3)]);
        assert_eq!(set.0, [(0, 10), (20, 40)]);
        assert_eq!(set.gaps().collect::<Vec<_>>(), [(Millis(11), Millis(19))]);
        for (from, to, missing) in [(0, 10, 0), (0, 40, 9), (8, 12, 2), (11, 19, 9), (38, 45, 5), (-3, -1, 3)] {
            assert_eq!(set.missing(Millis(from), Millis(to)), missing, "{from} to {to}");
        }
        assert_eq!((set.start(), spans(&[]).start()), (Some(Millis(0)), None));
    }
}
