"""What an agent is offered next, and what runs, is found by an index however much there is."""

UP = """
-- With the id as its last column it has the order in which tasks are offered, and is preferred to
-- tasks_board, through which the tasks of all other agents were read as well.
DROP INDEX tasks_assignee;
CREATE INDEX tasks_assignee ON tasks(project_id, assignee, status, priority, created_at, id);

CREATE INDEX tasks_waiting ON tasks(project_id, assignee, not_before)
  WHERE not_before IS NOT NULL;

-- What still runs in a project, among all that ever ran.
CREATE INDEX pulses_at_work ON pulses(project_id) WHERE state <> 'ended';
"""

DOWN = """
DROP INDEX pulses_at_work;
DROP INDEX tasks_waiting;
DROP INDEX tasks_assignee;
CREATE INDEX tasks_assignee ON tasks(project_id, assignee, status, priority, created_at);
"""
