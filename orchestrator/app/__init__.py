"""The application: the use cases of a project, each with an explicit actor. Front ends call these and nothing below.

requests       what can be requested of a project: one type for each kind of run
submit         record a request; retry a run
control        pause, cancel, abort, resume; lock and unlock an environment
releases       packages: build, find, share, remove
plans          what a promotion or a rollback would do
execute        the durable workflow of a request
recovery       what was left behind, and who resumes it
retention      what old runs have left in the state folder
queries        the current state, from the journal
inspections    the current state of hosts and stacks
environments   what stacks are, have, and would become
application    all groups of use cases, over the parts of one project
front_end      what a front end is given beside the use cases
opening        how a front end opens a project
authorize      the one function that checks the rights of the actor of every use case
actor          who acts
acting         an actor at the register: it is read, or changed together with the audit stream
people, access, tokens, calendar, audit    the use cases of the register
"""
