/*
 * The terms of IEEE 11073-10101 and -20601 that this folder reads. A term belongs to a partition;
 * a full code is partition << 16 | term.
 */
#pragma once

#define MDC_PART_OBJECT    1
#define MDC_PART_SCADA     2
#define MDC_PART_DIMENSION 4
#define MDC_PART_INFRA     8

#define MDC_CLASS_METRIC           4
#define MDC_CLASS_ENUMERATION      5
#define MDC_CLASS_NUMERIC          6
#define MDC_CLASS_RT_SA            9
#define MDC_CLASS_SCANNER          16
#define MDC_CLASS_SCANNER_EPISODIC 18
#define MDC_CLASS_SCANNER_PERIODIC 19
#define MDC_CLASS_MDS              37
#define MDC_CLASS_PM_STORE         61

#define MDC_ATTR_CONFIRM_TIMEOUT  2324
#define MDC_ATTR_SEGMENT_INSTANCE 2338
#define MDC_ATTR_MODEL            2344
#define MDC_ATTR_PRODUCTION_SPEC  2349
#define MDC_ATTR_TYPE             2351
#define MDC_ATTR_STORE_USAGE      2372
#define MDC_ATTR_MSMT_STATUS      2375
#define MDC_ATTR_CMPD_OBS         2379
#define MDC_ATTR_NU_OBS           2384
#define MDC_ATTR_STORE_SEGMENTS   2385
#define MDC_ATTR_OP_STATE         2387
#define MDC_ATTR_POWER            2389
#define MDC_ATTR_SEGMENT_USAGE    2427
#define MDC_ATTR_SYSTEM_ID        2436
#define MDC_ATTR_TIME_ABS         2439
#define MDC_ATTR_TIME_REL         2447
#define MDC_ATTR_STAMP_ABS        2448
#define MDC_ATTR_STAMP_REL        2449
#define MDC_ATTR_UNIT             2454
#define MDC_ATTR_BATTERY          2460
#define MDC_ATTR_STAMP_HIRES      2537
#define MDC_ATTR_CONFIG_ID        2628
#define MDC_ATTR_TIME_INFO        2629
#define MDC_ATTR_METRIC_SPEC      2630
#define MDC_ATTR_ENUM_OID         2633
#define MDC_ATTR_NU_BASIC         2636
#define MDC_ATTR_SEGMENT_MAP      2638
#define MDC_ATTR_SEGMENT_PERSON   2639
#define MDC_ATTR_SCAN_HANDLE_MAP  2643
#define MDC_ATTR_VALUE_MAP        2645
#define MDC_ATTR_NU_SIMPLE        2646
#define MDC_ATTR_ENUM_PARTITION   2656
#define MDC_ATTR_CLEAR_TIMEOUT    2659
#define MDC_ATTR_TRANSFER_TIMEOUT 2660
#define MDC_ATTR_ENUM_BITS_32     2661
#define MDC_ATTR_ENUM_BITS_16     2662
#define MDC_ATTR_CMPD_SIMPLE      2676
#define MDC_ATTR_CMPD_BASIC       2677
#define MDC_ATTR_METRIC_LIST      2678
#define MDC_ATTR_TIME_OFFSET      2689
#define MDC_ATTR_STAMP_OFFSET     2690

#define MDC_NOTI_CONFIG           3356
#define MDC_NOTI_SCAN_FIXED       3357
#define MDC_NOTI_SCAN_VAR         3358
#define MDC_NOTI_SCAN_MP_FIXED    3359
#define MDC_NOTI_SCAN_MP_VAR      3360
#define MDC_NOTI_SEGMENT_DATA     3361
#define MDC_NOTI_UNBUF_VAR        3362
#define MDC_NOTI_UNBUF_FIXED      3363
#define MDC_NOTI_UNBUF_GROUPED    3364
#define MDC_NOTI_UNBUF_MP_VAR     3365
#define MDC_NOTI_UNBUF_MP_FIXED   3366
#define MDC_NOTI_UNBUF_MP_GROUPED 3367
#define MDC_NOTI_BUF_VAR          3368
#define MDC_NOTI_BUF_FIXED        3369
#define MDC_NOTI_BUF_GROUPED      3370
#define MDC_NOTI_BUF_MP_VAR       3371
#define MDC_NOTI_BUF_MP_FIXED     3372
#define MDC_NOTI_BUF_MP_GROUPED   3373

#define MDC_ACTION_SEGMENTS_CLEAR 3084
#define MDC_ACTION_SEGMENTS_INFO  3085
#define MDC_ACTION_SET_TIME       3095
#define MDC_ACTION_SEGMENT_START  3100

#define MDC_DIM_PERCENT 544
#define MDC_DIM_KG      1731
#define MDC_DIM_MG_DL   2130
#define MDC_DIM_BPM     2720
#define MDC_DIM_MMHG    3872
