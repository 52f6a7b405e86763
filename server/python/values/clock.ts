/**
 * Counts branches. An object remembers the count at which it was made, so that a merge can tell what existed before the
 * branches split from what one of them made: the latter is as that branch left it, and not "maybe empty".
 */
export const clock = { now: 0 };
