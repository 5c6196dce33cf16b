"""Raw code -> snippets, finished sets -> instances. Every row that is not kept is counted under the rule that refused it."""
