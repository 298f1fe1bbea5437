//! Two endpoints drawn, the better one taken: what `p2c` and `adaptive` have in common.
//!
//! Power of two choices (Mitzenmacher 2001): two draws and two readings, whatever the number of
//! endpoints. With differing weights endpoints are drawn by weight, and the second is taken only
//! if it is clearly (twice) better: at even load the shares are those of the weights exactly,
//! uneven load overrides them.

use super::REDRAWS;
use crate::candidates::Candidates;
use crate::dice::Dice;

/// The better of two drawn endpoints; `costs` returns the costs of the first and the second.
pub(super) fn better_of_two(
    dice: &Dice,
    candidates: &Candidates,
    costs: impl Fn(usize, usize) -> [f64; 2],
) -> usize {
    if candidates.len() < 2 {
        return 0;
    }
    if candidates.is_equally_weighted() {
        let first = dice.index(candidates.len());
        // Of the others: skipping the first makes every pair as likely as any other.
        let other = dice.index(candidates.len() - 1);
        let second = other + usize::from(other >= first);
        [first, second].iter().for_each(|index| candidates.touch(*index));
        let [one, two] = costs(first, second);
        return if two < one { second } else { first };
    }
    let first = candidates.draw(dice);
    let mut others = (0..REDRAWS).map(|_| candidates.draw(dice));
    let Some(second) = others.find(|other| *other != first) else {
        return first;
    };
    [first, second].iter().for_each(|index| candidates.touch(*index));
    let [one, two] = costs(first, second);
    if 2.0 * two < one { second } else { first }
}
