/*
 * Between the files of the manager: manager.c has the states, manager_reports.c what an agent says,
 * manager_work.c what it is asked. Nobody else includes this.
 */
#pragma once

#include "protocols/ieee11073/manager.h"

#define PHD_NO_TIME 0xffffffffU /* of an event: it has no clock of that kind */

void phd_manager_send(struct phd_manager *m, const struct apdu *a);
void phd_manager_abort(struct phd_manager *m, enum apdu_abort_reason reason);
/* an error or a reject */
void phd_manager_refuse(struct phd_manager *m, uint16_t invoke_id, uint16_t operation,
			uint16_t result);
/* what it is said to be does not agree with what it says: it is to say it again next time */
void phd_manager_forget_config(struct phd_manager *m);

/* what an agent asks or reports while it operates */
void phd_manager_serve(struct phd_manager *m, const struct apdu *a, int64_t now);

/* begins with what is to be asked */
void phd_manager_work(struct phd_manager *m, int64_t now);
void phd_manager_answer(struct phd_manager *m, const struct apdu *a, int64_t now);
void phd_manager_work_expired(struct phd_manager *m, int64_t now);
/* what waited for its commit has it */
void phd_manager_work_committed(struct phd_manager *m, int64_t now);
/* a piece of the segment that is being read was handed on; more of it may come */
void phd_manager_work_piece(struct phd_manager *m, bool is_last);
/* this piece does not follow the one before, or the agent broke off: from the beginning again */
void phd_manager_work_restart(struct phd_manager *m, int64_t now);
/* this segment cannot be read */
void phd_manager_work_skip(struct phd_manager *m, int64_t now);
/* the segment whose pieces may come now, or NULL */
const struct phd_segment *phd_manager_work_segment(const struct phd_manager *m);
