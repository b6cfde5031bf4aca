/*
 * The way of two readings from a device to the record service, for spin. What each part does is
 * what drivers/session.h, gateway/store/store.h, gateway/publish/receipts.h and the README.md of
 * gateway/record promise; README.md here says what was left out.
 *
 *   device ==indication==> session --measurement--> store ... uplink --wire--> broker --queue--> record
 *   device <=confirmation= session <--committed---- store ... uplink <------receipt------------- record
 *
 * Every part may crash and come back between any two steps (budgets below). A broker that crashes
 * may forget all it has acknowledged. The hub's card may be put back as an older image. Faults are
 * bounded, nothing else is: after the last one every run has to end, and in the end every reading
 * that was confirmed stands at the record service exactly once and the outbox is empty.
 *
 * Wrong variants, each of which spin must refute:
 *   CONFIRM_EARLY     the session confirms before the store's COMMIT
 *   PUBACK_DELETES    a row leaves the outbox when the broker has acknowledged it
 *   SAME_EPOCH        an older image goes on under its old epoch, so numbers are given out twice
 *   EPOCH_IF_NOTICED  a new epoch only once a receipt covers what was never given out
 *   MARK_ONLY         the hub reads a receipt's first unbroken run of numbers and no more
 *   NO_STORE_DEDUPE   the store takes what it has already
 *   NO_RECORD_DEDUPE  the record service takes what it has already
 *   NO_KEY_DEDUPE     the record service knows a reading by its number only
 * OUTCOME_ONLY leaves out the assertions about the order, so that the damage itself is found.
 */
#ifndef DEVICE_CRASHES
#define DEVICE_CRASHES 1
#endif
#ifndef SESSION_CRASHES
#define SESSION_CRASHES 1
#endif
#ifndef HUB_CRASHES
#define HUB_CRASHES 1
#endif
#ifndef BROKER_CRASHES
#define BROKER_CRASHES 1
#endif
#ifndef RECORD_CRASHES
#define RECORD_CRASHES 1
#endif
#ifndef RESTORES
#define RESTORES 0
#endif
#ifndef EARLY_RESENDS
#define EARLY_RESENDS 1 /* times the uplink's clock runs out although an answer is on its way */
#endif

#define READINGS 2 /* named 1 and 2; 0 is none */
#ifndef ROWS
#define ROWS 2 /* numbers of one epoch, from 1 */
#endif
#define WINDOW	 2 /* messages on the way to the broker */

#ifdef OUTCOME_ONLY
#define order(what) skip
#else
#define order(what) assert(what)
#endif

/* A set of numbers from 0 to 7 in one byte. */
#define HAS(set, n) ((set) & (1 << (n)))
#define ADD(set, n) set = (set) | (1 << (n))

/* The device: what it stores; a link is up; the reading that it has indicated. */
byte stored = (1 << 1) | (1 << 2);
bit linked;
byte indicated;

/* The link's two directions, and what the session has taken and not yet confirmed. */
byte indication, confirmation;
byte pending;
bit handed_on; /* pending is with the gateway, as far as this connection knows */
#ifdef CONFIRM_EARLY
bit confirmed_early;
#endif

/* The socket between the session and the gateway. */
byte measurement, committed;
bit asked; /* who waits for the open transaction is still connected */

/* The gateway, in memory: the open transaction, acknowledged, what was sent and what of it the
 * broker has acknowledged. */
byte transaction, acknowledged, sent, delivered;
bit online; /* said to the record service at connect */

/* The gateway's database. */
byte row[ROWS + 1], last, seen, acknowledged_there;
bit epoch;

/* An older image of it. */
bit has_image;
byte image_row[ROWS + 1], image_last, image_seen, image_acknowledged;

/* Between the uplink, the broker and the record service: epoch, number, reading. */
chan wire = [WINDOW] of { bit, byte, byte };
chan puback = [WINDOW] of { byte };
chan queue = [WINDOW] of { bit, byte, byte };
chan receipt = [1] of { bit, byte }; /* epoch, set of numbers: the watermark and the ranges above */

/* The record service: in memory what it works on, and a receipt that is to be sent; its database:
 * the numbers of each epoch, how often each reading stands there. */
byte work_number, work_reading;
bit work_epoch, owes_ack, says, says_epoch;
byte numbers[2];
byte copies[READINGS + 1];

/* Of the proof, not of the system. */
byte ever_committed; /* a COMMIT held it */
byte gone_with_image; /* committed, and the older image that was put back has it not */
byte crashes_device = DEVICE_CRASHES, crashes_session = SESSION_CRASHES;
byte crashes_hub = HUB_CRASHES, crashes_broker = BROKER_CRASHES, crashes_record = RECORD_CRASHES;
byte restores = RESTORES, early_resends = EARLY_RESENDS;
byte i; /* of loops inside one step; 0 between steps */

/* ---- what a crash takes ---- */

inline lose_link()
{
	linked = 0;
	indicated = 0;
	indication = 0;
	confirmation = 0;
}

inline lose_socket()
{
	measurement = 0;
	committed = 0;
	asked = 0;
	handed_on = 0
}

/* the uplink's connection, both ways: what was on the way goes again */
inline lose_connection()
{
	do
	:: len(wire) > 0 -> wire ? _, _, _
	:: len(puback) > 0 -> puback ? _
	:: len(receipt) > 0 -> receipt ? _, _
	:: len(wire) + len(puback) + len(receipt) == 0 -> break
	od;
	sent = delivered;
	online = 1
}

/* a receipt counts for what lies above the last one; MARK_ONLY: from number 1 on */
inline note_receipt(set)
{
#ifdef MARK_ONLY
	i = 0;
#else
	i = acknowledged;
#endif
	do
	:: i < last && HAS(set, i + 1) -> i++
	:: else -> break
	od;
	if
	:: i > acknowledged -> acknowledge(i)
	:: else
	fi;
	i = 0
}

/* rows up to upto leave the outbox */
inline acknowledge(upto)
{
	do
	:: acknowledged < upto ->
		acknowledged++;
		order(copies[row[acknowledged]] > 0)
	:: else -> break
	od;
	if
	:: delivered < acknowledged -> delivered = acknowledged
	:: else
	fi;
	if
	:: sent < acknowledged -> sent = acknowledged
	:: else
	fi
}

/* ---- the parts ---- */

proctype device()
{
end:	do
	:: d_step { linked && !indicated && stored ->
		if
		:: HAS(stored, 1) -> indicated = 1
		:: else -> indicated = 2
		fi;
		indication = indicated
	   }
	:: d_step { confirmation ->
		/* many let go of it here, and there is no way back */
		stored = stored & ~(1 << confirmation);
		confirmation = 0;
		indicated = 0
	   }
	:: d_step { crashes_device > 0 && linked -> crashes_device--; lose_link(); }
	od
}

inline confirm(reading)
{
	order(HAS(ever_committed, reading));
	confirmation = reading
}

proctype session()
{
end:	do
	/* a new link; what was pending on the old one is not confirmed on this one */
	:: d_step { !linked && stored -> linked = 1; pending = (handed_on -> pending : 0) }
	:: d_step { indication && !pending ->
		pending = indication;
		indication = 0;
#ifdef CONFIRM_EARLY
		confirm(pending)
#endif
	   }
	:: d_step { pending && !handed_on && !measurement && !committed ->
		measurement = pending;
		handed_on = 1
	   }
	:: d_step { committed ->
#ifndef CONFIRM_EARLY
		if
		:: linked && indicated == committed && !indication -> confirm(committed)
		:: else /* its link is gone: the device will send it again */
		fi;
#endif
		pending = 0;
		handed_on = 0;
		committed = 0
	   }
	:: d_step { crashes_session > 0 && (linked || pending || asked) ->
		crashes_session--;
		pending = 0;
		lose_link();
		lose_socket()
	   }
	od
}

inline is_known(reading)
{
#ifdef NO_STORE_DEDUPE
	i = 0
#else
	i = HAS(seen, reading)
#endif
}

/* A crash that takes nothing leaves a run that there is without it, too: not worth a search. */
#define HUB_IS_BUSY (handed_on || transaction || acknowledged != acknowledged_there || \
		     delivered != acknowledged || BROKER_IS_BUSY)
#define BROKER_IS_BUSY (len(wire) + len(puback) + len(queue) + len(receipt) > 0)

inline crash_hub()
{
	transaction = 0;
	lose_socket();
	acknowledged = acknowledged_there;
	delivered = acknowledged;
	lose_connection()
}

proctype store()
{
end:	do
	:: d_step { measurement && !transaction ->
		is_known(measurement);
		if
		:: i -> committed = measurement /* it is durable already */
		:: else ->
			transaction = measurement;
			asked = 1
		fi;
		i = 0;
		measurement = 0
	   }
	:: d_step { transaction && last < ROWS -> /* COMMIT */
		order(!HAS(seen, transaction)); /* a reading has one row */
		last++;
		row[last] = transaction;
		ADD(seen, transaction);
		ADD(ever_committed, transaction);
		gone_with_image = gone_with_image & ~(1 << transaction);
		acknowledged_there = acknowledged;
		if
		:: asked -> committed = transaction
		:: else
		fi;
		asked = 0;
		transaction = 0
	   }
	:: d_step { crashes_hub > 0 && HUB_IS_BUSY -> crashes_hub--; crash_hub() }
	od
}

#define QUIET (len(wire) + len(puback) + len(queue) + len(receipt) == 0 && !online && !says && \
	       !work_reading && !owes_ack)

proctype uplink()
{
	bit its_epoch;
	byte what;

end:	do
	:: d_step { sent < last && len(wire) + len(puback) < WINDOW ->
		sent++;
		wire ! epoch, sent, row[sent]
	   }
	:: d_step { nempty(puback) ->
		puback ? what;
		if
		:: what > delivered -> delivered = what
		:: else
		fi;
#ifdef PUBACK_DELETES
		if
		:: what > acknowledged -> acknowledge(what)
		:: else
		fi;
#endif
		what = 0
	   }
	:: d_step { nempty(receipt) ->
		receipt ? its_epoch, what;
#ifndef PUBACK_DELETES
		if
		:: its_epoch != epoch /* of another epoch: not ours */
		:: its_epoch == epoch && (what >> (last + 1)) != 0 ->
			/* covers what was never given out: an older image is at work */
#ifdef EPOCH_IF_NOTICED
			epoch = 1 - epoch;
			delivered = acknowledged;
			sent = acknowledged
#endif
		:: else -> note_receipt(what)
		fi;
#endif
		its_epoch = 0;
		what = 0
	   }
	/* no receipt for what was delivered: all of it goes again */
	:: d_step { QUIET && acknowledged < sent && sent == last ->
		delivered = acknowledged;
		sent = acknowledged
	   }
	:: d_step { early_resends > 0 && acknowledged < sent ->
		early_resends--;
		delivered = acknowledged;
		sent = acknowledged
	   }
	od
}

inline broker_back()
{
	crashes_broker--;
	lose_connection();
	/* the record service's connection is gone too: what it has not acknowledged comes again */
	owes_ack = 0;
	work_reading = 0;
	work_number = 0;
	work_epoch = 0
}

proctype broker()
{
	bit its_epoch;
	byte number, reading;

end:	do
	:: d_step { nempty(wire) && nfull(queue) && nfull(puback) ->
		wire ? its_epoch, number, reading;
		queue ! its_epoch, number, reading;
		puback ! number;
		its_epoch = 0;
		number = 0;
		reading = 0
	   }
	:: d_step { crashes_broker > 0 && BROKER_IS_BUSY -> broker_back() }
	:: d_step { crashes_broker > 0 && nempty(queue) ->
		do
		:: nempty(queue) -> queue ? _, _, _
		:: empty(queue) -> break
		od;
		broker_back()
	   }
	od
}

/* one transaction: the reading, its number and, made from it, the receipt */
inline put_reading()
{
	if
	:: HAS(numbers[work_epoch], work_number) ->
#ifdef NO_RECORD_DEDUPE
		copies[work_reading]++
#else
		skip /* known; under another reading: a dead letter, and the number is done with */
#endif
	:: else ->
		ADD(numbers[work_epoch], work_number);
#if !defined(NO_KEY_DEDUPE) && !defined(NO_RECORD_DEDUPE)
		if
		:: copies[work_reading] > 0 /* its key is known */
		:: else -> copies[work_reading]++
		fi
#else
		copies[work_reading]++
#endif
	fi;
	assert(copies[work_reading] <= 1)
}

proctype record()
{
end:	do
	/* acknowledge = commit: it stays with the broker until it is durable here */
	:: d_step { !work_reading && !owes_ack && !says && nempty(queue) ->
		queue ? <work_epoch, work_number, work_reading>;
		owes_ack = 1
	   }
	/* acknowledge = receipt: the broker may forget it at once */
	:: d_step { !work_reading && !owes_ack && !says && nempty(queue) ->
		queue ? work_epoch, work_number, work_reading
	   }
	:: d_step { work_reading ->
		put_reading();
		says = 1;
		says_epoch = work_epoch;
		work_epoch = 0;
		work_number = 0;
		work_reading = 0
	   }
	:: d_step { owes_ack && !work_reading ->
		queue ? _, _, _;
		owes_ack = 0
	   }
	:: d_step { says ->
		/* of several that wait only the last is sent */
		if
		:: nempty(receipt) -> receipt ? _, _
		:: empty(receipt)
		fi;
		receipt ! says_epoch, numbers[says_epoch];
		says = 0;
		says_epoch = 0
	   }
	/* a hub that comes online is told in answer */
	:: d_step { online && !says && !work_reading -> online = 0; says = 1; says_epoch = epoch }
	:: d_step { crashes_record > 0 && (work_reading || owes_ack || says) ->
		crashes_record--;
		work_reading = 0;
		work_number = 0;
		work_epoch = 0;
		owes_ack = 0;
		says = 0;
		says_epoch = 0
	   }
	od
}

#if RESTORES > 0
inline put_image_back()
{
	restores--;
	gone_with_image = gone_with_image | (ever_committed & ~image_seen);
	last = image_last;
	seen = image_seen;
	acknowledged_there = image_acknowledged;
	i = 0;
	do
	:: i <= ROWS -> row[i] = image_row[i]; i++
	:: else -> break
	od;
	i = 0;
	crash_hub();
#if !defined(SAME_EPOCH) && !defined(EPOCH_IF_NOTICED)
	epoch = 1 - epoch
#endif
}

proctype card()
{
end:	do
	:: d_step { !has_image ->
		has_image = 1;
		image_last = last;
		image_seen = seen;
		image_acknowledged = acknowledged_there;
		i = 0;
		do
		:: i <= ROWS -> image_row[i] = row[i]; i++
		:: else -> break
		od;
		i = 0
	   }
	:: d_step { has_image && restores > 0 -> put_image_back() }
	od
}
#endif

/* ---- in the end ---- */

#define ARRIVED(r) (copies[r] == 1 || HAS(gone_with_image, r))

proctype end_of_all()
{
	/* true when nothing else can go on: no work is left, or something hangs */
end:	timeout ->
	assert(!stored);
	assert(ARRIVED(1) && ARRIVED(2));
	assert(acknowledged == last)
}

init
{
	atomic {
		run device();
		run session();
		run store();
		run uplink();
		run broker();
		run record();
#if RESTORES > 0
		run card();
#endif
		run end_of_all()
	}
}
