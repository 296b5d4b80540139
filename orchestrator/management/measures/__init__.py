"""The five DORA measures of deployments: computed from the journal, each with the runs behind it."""
