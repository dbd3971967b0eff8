/* The handoff between one gateway and two bridges over a stream with transactions: proto/handoff/README.md and
 * cloud-bridge/adapters/rdkafka/README.md as a model that SPIN walks through whole. Words are those of the code.
 *
 * What may happen, at any moment, each as often as `init` has drawn up to its budget: a message is lost, doubled or
 * overtaken; the gateway's process ends; its disk is imaged, and the image restored; a bridge takes the partition over
 * while the former owner lives on (a zombie); the answer to a commit does not come, and its EndTxn acts late.
 * When all of it has happened there is calm.
 *
 * What must hold is asserted where it happens:
 *   (1) a row is in the stream once, or its further copies are marked possible_repeat;
 *   (2) rows of the stream are in the order in which terminals were answered;
 *   (3) what the gateway has acked, and may trim, is in the stream;
 *   (4) nothing that is in the stream is reported as lost, and nothing is sent that was trimmed;
 *   (5) in calm every row of the journal gets there, in a bounded number of repetitions.
 *
 * Each of the macros named in mutants.txt breaks one rule, and one of these then fails.
 */

#ifndef ROWS
#define ROWS 3          /* that the journal holds */
#endif
#ifndef CONTENTS
#define CONTENTS 4      /* that terminals submit, in all lives of the journal */
#endif
#ifndef TAKEOVERS
#define TAKEOVERS 2     /* the first included */
#endif
#ifndef IMAGES
#define IMAGES 1        /* taken, and restored */
#endif
#ifndef ENDS
#define ENDS 0          /* of the gateway's process, beside those */
#endif
#ifndef LOSSES
#define LOSSES 1        /* messages lost */
#endif
#ifndef DOUBLES
#define DOUBLES 1       /* messages that come twice */
#endif
#ifndef UNCERTAIN
#define UNCERTAIN 1     /* commits whose answer does not come */
#endif
#ifndef STALE
#define STALE 2         /* messages that bridges take which are no owners any more, before they find out */
#endif
#ifndef EARLY
#define EARLY 1         /* repetitions before there is silence */
#endif

#define RUNS   (2 + 4 * IMAGES + ENDS)   /* run 0 is none */
#define EPOCHS (3 + 3 * IMAGES + ENDS + 4 * STALE)
#define LINES  2                         /* messages under way, each way */
#define PATIENCE 12                      /* repetitions in calm without progress */

/* Digests are the chain itself: the contents, one octal digit each. */
#define chain(digest, content) ((digest) * 8 + (content))

mtype = { none, hello, batch, ack, owner };

typedef Place { byte epoch; byte seq; short digest };

typedef Progress {
  Place place;
  byte count[RUNS];       /* rows of a run in the stream … */
  short run_digest[RUNS]  /* … and the chain over them */
};

typedef Journal {
  byte rows;
  byte content[ROWS];
  byte run_id[ROWS];
  bit possible_repeat[ROWS];
  byte epoch;
  byte first;             /* rows before the epoch's first */
  bit accepted;
  Place supersedes;
  byte acked;
  byte base;              /* trimmed up to here */
  byte lost               /* reported with the epoch: a bit a content */
};

typedef Up {
  mtype kind;
  byte epoch;
  /* hello */
  bit new_epoch;
  byte nonce;
  Place supersedes;
  byte lost;
#ifdef RUNS_FROM_HELLOS
  byte named[RUNS];
#endif
  /* batch, of one run */
  byte first_seq;
  short digest_before;
  byte run_id;
  byte index;             /* of its first row in the run */
  byte size;
  byte content[2];
  bit possible_repeat
};

typedef Down {
  mtype kind;
  byte nonce;             /* 0: no answer to a hello */
  Progress progress
};

Journal journal, image;
bit imaged;
byte opening = 1;         /* the run of rows that are appended now */
byte last_run = 1, last_epoch = 1, last_content = 0, last_nonce = 0;

Up up[LINES];
Down down[LINES];

/* The stream as the coordinator has it. */
Progress committed;
byte fence = 0;           /* the newest turn; older ones are refused */
bit open = 0;             /* a transaction is under way, with: */
byte open_rows = 0;
byte open_content[2];
bit open_repeat[2];
bit open_has_progress = 0;
Progress open_progress;
byte late_end_txn = 0;    /* an EndTxn under way whose answer nobody waits for: its turn; 0 none */
bit at_work[2];           /* a bridge that believes that it owns the partition */

bit published[CONTENTS + 1];
byte newest = 0;          /* content in the stream */

/* What is still to happen. */
byte takeovers = TAKEOVERS, images = IMAGES, restores = IMAGES, ends = ENDS, losses = LOSSES, doubles = DOUBLES;
byte uncertain = UNCERTAIN, stale = STALE, early = EARLY;
bit done = 0;

/* --- copying ------------------------------------------------------------------------------------ */

inline copy_place(to, from) {
  to.epoch = from.epoch; to.seq = from.seq; to.digest = from.digest
}
inline copy_progress(to, from) {
  copy_place(to.place, from.place);
  for (k : 0 .. RUNS - 1) { to.count[k] = from.count[k]; to.run_digest[k] = from.run_digest[k] }
  k = 0
}
inline copy_journal(to, from) {
  to.rows = from.rows; to.epoch = from.epoch; to.first = from.first; to.accepted = from.accepted;
  copy_place(to.supersedes, from.supersedes);
  to.acked = from.acked; to.base = from.base; to.lost = from.lost;
  for (k : 0 .. ROWS - 1) {
    to.content[k] = from.content[k]; to.run_id[k] = from.run_id[k]; to.possible_repeat[k] = from.possible_repeat[k]
  }
  k = 0
}
inline clear_progress(it) {
  it.place.epoch = 0; it.place.seq = 0; it.place.digest = 0;
  for (k : 0 .. RUNS - 1) { it.count[k] = 0; it.run_digest[k] = 0 }
  k = 0
}
inline copy_up(to, from) {
  to.kind = from.kind; to.epoch = from.epoch; to.new_epoch = from.new_epoch; to.nonce = from.nonce;
  copy_place(to.supersedes, from.supersedes);
  to.lost = from.lost;
  to.first_seq = from.first_seq; to.digest_before = from.digest_before;
  to.run_id = from.run_id; to.index = from.index; to.size = from.size;
  to.content[0] = from.content[0]; to.content[1] = from.content[1];
  to.possible_repeat = from.possible_repeat
#ifdef RUNS_FROM_HELLOS
  ; for (k : 0 .. RUNS - 1) { to.named[k] = from.named[k] }
  k = 0
#endif
}
inline clear_up(it) {
  it.kind = none; it.epoch = 0; it.new_epoch = 0; it.nonce = 0;
  it.supersedes.epoch = 0; it.supersedes.seq = 0; it.supersedes.digest = 0;
  it.lost = 0;
  it.first_seq = 0; it.digest_before = 0; it.run_id = 0; it.index = 0; it.size = 0;
  it.content[0] = 0; it.content[1] = 0; it.possible_repeat = 0
#ifdef RUNS_FROM_HELLOS
  ; for (k : 0 .. RUNS - 1) { it.named[k] = 0 }
  k = 0
#endif
}
/* Those behind it move up, so that the same messages are the same state. */
inline remove_up(at) {
  if :: at == 0 -> copy_up(up[0], up[1]) :: else -> skip fi;
  clear_up(up[1])
}
inline remove_down(at) {
  if
  :: at == 0 -> down[0].kind = down[1].kind; down[0].nonce = down[1].nonce; copy_progress(down[0].progress, down[1].progress)
  :: else -> skip
  fi;
  down[1].kind = none; down[1].nonce = 0; clear_progress(down[1].progress)
}

/* A place for one more message: the first free one; LINES when all are taken, and the message is lost. */
inline free_up() {
  slot = 0;
  do :: slot < LINES && up[slot].kind != none -> slot++ :: else -> break od
}
inline free_down() {
  slot = 0;
  do :: slot < LINES && down[slot].kind != none -> slot++ :: else -> break od
}

/* --- the gateway -------------------------------------------------------------------------------- */

/* The epoch's chain up to a seq; -1 when the journal has no such seq. */
inline digest_at(of_seq, result) {
  result = 0;
  if
  :: journal.first + of_seq > journal.rows -> result = -1
  :: else ->
    k = journal.first;
    do
    :: k < journal.first + of_seq -> result = chain(result, journal.content[k]); k++
    :: else -> break
    od
  fi;
  k = 0
}

inline say_hello() {
  d_step {
    greeting = 1;
    assert(last_nonce < 250);      /* (5) */
    last_nonce++;
    nonce = last_nonce;
  }
  repeat_hello()
}
inline repeat_hello() {
  d_step {
    free_up();
    if
    :: slot < LINES ->
      up[slot].kind = hello; up[slot].epoch = journal.epoch; up[slot].nonce = nonce;
      up[slot].new_epoch = !journal.accepted;
      printf("gateway: hello, epoch %d, new %d, nonce %d\n", journal.epoch, !journal.accepted, nonce);
      if
      :: !journal.accepted -> copy_place(up[slot].supersedes, journal.supersedes); up[slot].lost = journal.lost
      :: else -> skip
      fi;
#ifdef RUNS_FROM_HELLOS
      for (k : 0 .. RUNS - 1) { up[slot].named[k] = 0 }
      for (k : 0 .. ROWS - 1) { if :: k < journal.rows -> up[slot].named[journal.run_id[k]]++ :: else -> skip fi }
      k = 0;
#endif
    :: else -> skip
    fi;
    slot = 0
  }
}

/* The next rows after `sent` that are of one run, at most `most`. */
inline send_batch(most) {
  d_step {
    free_up();
    if
    :: slot < LINES ->
      assert(sent >= journal.base);      /* (4) */
      up[slot].kind = batch; up[slot].epoch = journal.epoch;
      up[slot].first_seq = sent - journal.first + 1;
      digest_at(sent - journal.first, value);
      up[slot].digest_before = value; value = 0;
      up[slot].run_id = journal.run_id[sent];
      up[slot].possible_repeat = journal.possible_repeat[sent];
      k = 0;
      do
      :: k < sent ->
        if :: journal.run_id[k] == journal.run_id[sent] -> up[slot].index++ :: else -> skip fi;
        k++
      :: else -> break
      od;
      k = 0;
      do
      :: k < most && sent < journal.rows && journal.run_id[sent] == up[slot].run_id ->
        up[slot].content[k] = journal.content[sent];
        sent++; k++
      :: else -> break
      od;
      up[slot].size = k;
      printf("gateway: batch, epoch %d, seq %d, %d rows from %d\n", journal.epoch, up[slot].first_seq, k, up[slot].content[0]);
      k = 0
    :: else -> skip
    fi;
    slot = 0
  }
}

/* Rows up to here are in the stream: they may be trimmed. */
inline trim(through) {
  k = 0;
  do
  :: k < through -> assert(published[journal.content[k]]); k++      /* (3) */
  :: else -> break
  od;
  k = 0;
  printf("gateway: acked and trimmed up to row %d\n", through);
  if :: through > journal.base -> journal.base = through :: else -> skip fi
}

/* The rows up to the last one that its run's count covers, with the run's digest there, are in the stream. A count
 * beyond the run's length, or another digest, is doubt. [H-40] [H-44] */
inline look_for_covered(answer) {
  covered = 0; doubt = 0;
  for (run_id : 1 .. RUNS - 1) {
    length = 0; value = 0; last = 0;
    k = 0;
    do
    :: k < journal.rows ->
      if
      :: journal.run_id[k] == run_id && length < answer.count[run_id] ->
        length++; value = chain(value, journal.content[k]); last = k + 1
      :: journal.run_id[k] == run_id && length >= answer.count[run_id] -> seen_more = 1
      :: else -> skip
      fi;
      k++
    :: else -> break
    od;
    seen_more = 0;
    k = 0;
    do
    :: k < journal.rows && journal.run_id[k] != run_id -> k++
    :: else -> break
    od;
    /* Only a run of ours can be in doubt. */
    if
    :: answer.count[run_id] > 0 && k < journal.rows ->
      if
      :: length == answer.count[run_id] && value == answer.run_digest[run_id] ->
        if :: last > covered -> covered = last :: else -> skip fi
      :: else -> doubt = 1
      fi
    :: else -> skip
    fi;
    k = 0
  }
  run_id = 0; length = 0; value = 0; last = 0
}

/* A fresh epoch that supersedes exactly what the stream has; on disk before its Hello. [H-40] … [H-44] */
inline fork(answer) {
  look_for_covered(answer);
  if
  :: doubt ->
    if :: journal.acked > covered -> covered = journal.acked :: else -> skip fi;
    /* A new run for what may be there already, unless a refused attempt gave it one, and one for what comes. */
    k = covered;
    do
    :: k < journal.rows && (journal.possible_repeat[k] || journal.run_id[k] == opening && answer.count[opening] == 0) -> k++
    :: else -> break
    od;
    if
    :: k < journal.rows ->
      last_run++; assert(last_run < RUNS);
      k = covered;
      do
      :: k < journal.rows -> journal.run_id[k] = last_run; journal.possible_repeat[k] = 1; k++
      :: else -> break
      od;
      last_run++; assert(last_run < RUNS);
      opening = last_run
    :: else -> skip
    fi;
    k = 0
  :: else -> skip
  fi;
  last_epoch++; assert(last_epoch < EPOCHS);
  printf("gateway: fork, epoch %d after row %d, superseding epoch %d seq %d; doubt %d\n", last_epoch, covered, answer.place.epoch, answer.place.seq, doubt);
  journal.epoch = last_epoch;
  journal.first = covered;
  journal.accepted = 0;
  copy_place(journal.supersedes, answer.place);
  /* Neither in the stream, as the answer says, nor retained. A zombie's answer may say so wrongly. [H-46] [H-60] */
  journal.lost = 0;
  k = covered;
  do
  :: k < journal.base -> journal.lost = journal.lost | (1 << journal.content[k]); k++
  :: else -> break
  od;
  k = 0; covered = 0; doubt = 0
}

/* An answer to the Hello under way, with the stream's whole progress. */
inline on_answer(answer) {
  d_step {
    value = -2;
    if
    :: answer.place.epoch == journal.epoch -> digest_at(answer.place.seq, value)
    :: else -> skip
    fi;
    if
    :: value == answer.place.digest && answer.place.epoch == journal.epoch && journal.first + answer.place.seq >= journal.base ->      /* [H-30] */
      journal.accepted = 1;
      journal.acked = journal.first + answer.place.seq;
      trim(journal.acked);
      sent = journal.acked;
      greeting = 0;
      silence = 0
    :: answer.place.epoch == 0 && !journal.accepted && journal.supersedes.epoch == 0 -> skip      /* it will come again */
    :: else -> fork(answer); forked = 1
    fi;
    value = 0
  }
  if
  :: forked -> forked = 0; say_hello()
  :: else -> skip
  fi
}

/* Any other Ack. [H-31] */
inline on_plain_ack(named) {
  d_step {
    value = -2;
    if :: named.epoch == journal.epoch -> digest_at(named.seq, value) :: else -> skip fi;
    if
    :: greeting -> skip
    :: !greeting && (value != named.digest || journal.first + named.seq > sent) -> forked = 1      /* refused: [H-32] */
    :: !greeting && value == named.digest && journal.first + named.seq <= sent ->
      if
      :: journal.first + named.seq > journal.acked ->
        journal.acked = journal.first + named.seq;
        trim(journal.acked);
        silence = 0
      :: journal.first + named.seq == journal.acked -> skip
      :: else ->
#ifdef REWIND_ON_ANY_ACK
        journal.acked = journal.first + named.seq;
        sent = journal.acked
#else
        skip      /* late: [H-13] */
#endif
      fi
    fi;
    value = 0
  }
  if
  :: forked -> forked = 0; say_hello()
  :: else -> skip
  fi
}

/* A process begins: what it knew is gone but for the journal; rows that come get a run of their own. */
inline begin_process() {
  last_run++; assert(last_run < RUNS);
  opening = last_run;
  printf("gateway: begins with %d rows, run %d\n", journal.rows, opening);
  sent = journal.acked
}

proctype Gateway() {
  bit greeting = 1, doubt = 0, forked = 0, seen_more = 0;
  mtype kind = none;
  bit was_answer = 0;
  Progress heard;
  byte nonce = 0, sent = 0, slot = 0, k = 0, run_id = 0, length = 0, last = 0, covered = 0, silence = 0, line = 0;
  short value = 0;
  journal.epoch = 1;
  say_hello();
  do
  /* A terminal is answered when its row is in the journal. */
  :: atomic {
       journal.rows < ROWS && last_content < CONTENTS ->
       last_content++;
       journal.content[journal.rows] = last_content;
       journal.run_id[journal.rows] = opening;
       journal.possible_repeat[journal.rows] = 0;
       journal.rows++;
       printf("terminal: content %d is row %d\n", last_content, journal.rows)
     }
  :: atomic { !greeting && sent < journal.rows -> send_batch(1) }
  :: atomic { !greeting && sent + 1 < journal.rows && journal.run_id[sent] == journal.run_id[sent + 1] -> send_batch(2) }
  /* A message comes: any of those under way. */
  :: atomic {
       (down[0].kind != none || down[1].kind != none) ->
       if
       :: down[0].kind != none -> line = 0
       :: down[1].kind != none -> line = 1
       fi;
       if
       :: losses > 0 -> losses--; d_step { remove_down(line) }
       :: skip ->
         d_step {
           kind = down[line].kind;
           was_answer = down[line].nonce == nonce;
           copy_progress(heard, down[line].progress)
         }
         if
         :: doubles > 0 -> doubles--      /* and will come again */
         :: d_step { remove_down(line) }
         fi;
         if
         :: kind == owner -> say_hello()
         :: kind == ack && greeting && was_answer -> on_answer(heard)
         :: kind == ack && !(greeting && was_answer) -> on_plain_ack(heard.place)
         fi;
         d_step { kind = none; was_answer = 0; clear_progress(heard) }
       fi;
       line = 0
     }
  /* What was not answered in time is said again. */
  :: atomic { early > 0 -> early--; if :: greeting -> repeat_hello() :: else -> sent = journal.acked fi }
  :: atomic {
       timeout && !done ->
       if
       :: journal.acked == journal.rows && !greeting && (journal.rows == ROWS || last_content == CONTENTS) -> done = 1; break
       :: else ->
         silence++; assert(silence < PATIENCE);      /* (5) */
         if :: greeting -> repeat_hello() :: else -> say_hello() fi
       fi
     }
  /* The disk is imaged; the image is put back. */
  :: d_step { images > 0 -> images--; copy_journal(image, journal); imaged = 1 }
  :: atomic {
       imaged && restores > 0 && images == 0 ->
       d_step { restores--; copy_journal(journal, image); begin_process() }
       say_hello()
     }
  :: atomic { ends > 0 -> d_step { ends--; begin_process() } say_hello() }
  od
}

/* --- the coordinator ---------------------------------------------------------------------------- */

inline apply() {
  k = 0;
  do
  :: k < open_rows ->
    assert(open_repeat[k] || !published[open_content[k]]);      /* (1) */
    assert(open_repeat[k] || open_content[k] > newest);         /* (2) */
    published[open_content[k]] = 1;
    printf("stream: content %d, possible_repeat %d\n", open_content[k], open_repeat[k]);
    if :: open_content[k] > newest -> newest = open_content[k] :: else -> skip fi;
    k++
  :: else -> break
  od;
  k = 0;
  if :: open_has_progress -> copy_progress(committed, open_progress) :: else -> skip fi;
  drop()
}
/* What a transaction holds that is aborted. */
inline drop() {
  open = 0; open_rows = 0; open_has_progress = 0; clear_progress(open_progress);
  open_content[0] = 0; open_content[1] = 0; open_repeat[0] = 0; open_repeat[1] = 0
}

#ifdef NO_FENCE
#define is_current(turn) 1
#else
#define is_current(turn) ((turn) == fence)
#endif

/* It commits whatever its producer has under way by then, be it rows without their progress. */
active proctype LateEndTxn() {
  byte k = 0;
end:
  do
  :: d_step {
       late_end_txn > 0 ->
       printf("stream: the late EndTxn of turn %d arrives\n", late_end_txn);
       if :: is_current(late_end_txn) && open -> apply() :: else -> skip fi;
       late_end_txn = 0
     }
  od
}

/* --- a bridge ----------------------------------------------------------------------------------- */

inline say_ack(with_nonce, progress_of) {
  d_step {
    free_down();
    if
    :: slot < LINES ->
      down[slot].kind = ack; down[slot].nonce = with_nonce;
      printf("bridge %d: ack, nonce %d, epoch %d seq %d\n", me, with_nonce, progress_of.place.epoch, progress_of.place.seq);
      copy_progress(down[slot].progress, progress_of)
    :: else -> skip
    fi;
    slot = 0
  }
}

/* Fences every older turn; what they had under way is aborted. */
inline initialise() {
  d_step {
    fence++; turn = fence;
    printf("bridge %d: owner by turn %d\n", me, turn);
    drop()
  }
}
inline read_progress() {
  d_step { copy_progress(known, committed); printf("bridge %d: read progress, epoch %d seq %d\n", me, known.place.epoch, known.place.seq) }
}

/* One transaction: the rows, then the progress and its end. Leads to `again` when the outcome is not certain, and to
 * `gone` when another one has fenced us. Called within an atomic, which it leaves once, between the two. */
inline begin_transaction() {
  if
  :: is_current(turn) ->
    d_step {
      open = 1;
      k = 0;
      do
      :: k < rows ->
        open_content[open_rows] = got.content[got.size - rows + k];
        open_repeat[open_rows] = got.possible_repeat;
        open_rows++; k++
      :: else -> break
      od;
      k = 0
    }
  :: else -> goto gone
  fi
}
/* With the switch to an epoch, and nowhere else. [H-62] */
inline report_lost() {
  for (k : 1 .. CONTENTS) { assert(!published[k] || !(got.lost & (1 << k))) }      /* (4) */
  k = 0
}
inline end_transaction() {
  if
  :: is_current(turn) && open ->
    d_step { copy_progress(open_progress, next); open_has_progress = 1 }
    if
    :: d_step { apply(); report_lost(); copy_progress(known, next) }
    /* The answer does not come: it held … */
    :: uncertain > 0 -> d_step { uncertain--; printf("bridge %d: no answer to EndTxn\n", me); apply(); report_lost() } goto again
    /* … or its EndTxn is still under way. */
    :: uncertain > 0 && late_end_txn == 0 -> uncertain--; late_end_txn = turn; printf("bridge %d: no answer to EndTxn, which is still under way\n", me); goto again
    fi
  :: is_current(turn) && !open -> goto again      /* INVALID_TXN_STATE */
  :: else -> goto gone
  fi
}

inline make_next_epoch() {
  d_step {
    copy_progress(next, known);
    next.place.epoch = got.epoch; next.place.seq = 0; next.place.digest = 0;
#ifdef RUNS_FROM_HELLOS
    for (k : 0 .. RUNS - 1) { if :: got.named[k] > next.count[k] -> next.count[k] = got.named[k] :: else -> skip fi }
    k = 0;
#endif
    rows = 0
  }
}

#ifdef NO_COMPARE_AND_SET
#define may_supersede (known.place.epoch != 0)
#else
#define may_supersede (known.place.epoch != 0 && got.supersedes.epoch == known.place.epoch && got.supersedes.seq == known.place.seq && got.supersedes.digest == known.place.digest)
#endif

inline on_hello() {
  if
  :: got.epoch != known.place.epoch && got.new_epoch &&
     ((known.place.epoch == 0 && got.supersedes.epoch == 0) || may_supersede) ->      /* [H-60] [H-61] */
    make_next_epoch();
    begins = 1
  :: else -> skip
  fi
}

inline on_batch() {
  d_step {
    rows = 0;
    if
    :: got.epoch == known.place.epoch && got.first_seq <= known.place.seq + 1 ->
      /* Those that repeat what is there: their chain must end in the stored digest. [H-56] */
      repeated = known.place.seq + 1 - got.first_seq;
      if :: repeated > got.size -> repeated = got.size :: else -> skip fi;
      value = got.digest_before;
      k = 0;
      do
      :: k < repeated -> value = chain(value, got.content[k]); k++
      :: else -> break
      od;
      k = 0;
      if
#ifdef OVERLAP_UNCHECKED
      :: repeated < got.size ->
#else
      :: repeated < got.size && value == known.place.digest ->
#endif
        rows = got.size - repeated;
        copy_progress(next, known);
        k = repeated;
        do
        :: k < got.size ->
          next.place.seq++;
          next.place.digest = chain(next.place.digest, got.content[k]);
          /* A row of a run that is counted is never published again. [H-57] */
          if
          :: got.index + k >= next.count[got.run_id] ->
            next.count[got.run_id]++;
            next.run_digest[got.run_id] = chain(next.run_digest[got.run_id], got.content[k])
          :: else -> rows--
          fi;
          k++
        :: else -> break
        od;
        k = 0;
        repeated = 1      /* something is new */
      :: else -> repeated = 0
      fi;
      value = 0
    :: else -> repeated = 0
    fi
  }
#ifdef ACK_BEFORE_COMMIT
  if :: repeated -> say_ack(0, next) :: else -> skip fi;
#endif
  begins = repeated; repeated = 0
}

inline forget() {
  d_step {
    clear_up(got);
    rows = 0; repeated = 0; value = 0; k = 0; slot = 0; begins = 0;
    clear_progress(next)
  }
}

proctype Bridge(byte me) {
  bit begins = 0;
  byte turn = 0, k = 0, slot = 0, rows = 0, repeated = 0, line = 0;
  short value = 0;
  Progress known, next;
  Up got;
gone:
  atomic { at_work[me] = 0; turn = 0; printf("bridge %d: no owner\n", me); forget(); d_step { clear_progress(known) } }
end_spare:
  /* The group assigns the partition: at will as long as it has to, then only when nobody has it. */
  atomic {
    !done && (takeovers > 0 || (!at_work[0] && !at_work[1])) && (me == 0 || fence > 0) ->
    if :: takeovers > 0 -> takeovers-- :: else -> skip fi;
    at_work[me] = 1
  }
again:
#ifdef READ_BEFORE_FENCE
  atomic { forget(); read_progress() }
  initialise();
#else
#ifdef KEEP_PRODUCER
  atomic {
    forget();
    if
    :: turn == 0 -> initialise()
    :: else -> d_step { if :: is_current(turn) -> drop() :: else -> skip fi }      /* aborted, and the producer is kept */
    fi
  }
#else
  atomic { forget(); initialise() }
#endif
  read_progress();
#endif
  d_step {
    free_down();
    if :: slot < LINES -> down[slot].kind = owner :: else -> skip fi;
    slot = 0
  }
end_owner:
  do
  :: turn != fence && stale == 0 -> goto gone
  :: atomic {
       (up[0].kind != none || up[1].kind != none) && (turn == fence || stale > 0) ->
       if :: turn == fence -> skip :: else -> stale-- fi;
       if
       :: up[0].kind != none -> line = 0
       :: up[1].kind != none -> line = 1
       fi;
       if
       :: losses > 0 -> losses--; d_step { remove_up(line) } line = 0
       :: skip ->
         d_step { copy_up(got, up[line]) }
         if
         :: doubles > 0 -> doubles--      /* the other bridge hears it, too, or it comes again */
         :: d_step { remove_up(line) }
         fi;
         line = 0;
         if :: got.kind == hello -> on_hello() :: else -> on_batch() fi;
         if :: begins -> begin_transaction() :: else -> skip fi
       fi
     }
     atomic {
       if :: begins -> end_transaction() :: else -> skip fi;
       if
       :: got.kind == hello -> say_ack(got.nonce, known)
       :: got.kind == batch -> say_ack(0, known)
       :: else -> skip
       fi;
       forget()
     }
  od
}

init {
  atomic {
    /* What will not happen this time. */
    do :: losses > 0 -> losses-- :: break od;
    do :: doubles > 0 -> doubles-- :: break od;
    do :: uncertain > 0 -> uncertain-- :: break od;
    do :: early > 0 -> early-- :: break od;
    do :: ends > 0 -> ends-- :: break od;
    do :: restores > 0 -> restores--; images-- :: break od;
    do :: takeovers > 1 -> takeovers-- :: break od;
    up[0].kind = none; up[1].kind = none; down[0].kind = none; down[1].kind = none;
    run Gateway();
    run Bridge(0);
    run Bridge(1)
  }
}
