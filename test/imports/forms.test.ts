import * as fc from 'fast-check'
import t from 'tap'
import { CsvReader } from '../../src/imports/csv.ts'
import { JsonArrayReader, NdjsonReader } from '../../src/imports/json.ts'
import { type Judgement, judgeUpload } from '../support/uploads.ts'

const csv = (text: string) => judgeUpload(CsvReader, [Buffer.from(text)])
const ndjson = (text: string) => judgeUpload(NdjsonReader, [Buffer.from(text)])
const json = (text: string) => judgeUpload(JsonArrayReader, [Buffer.from(text)])

const ids = (judgements: Judgement[]) => judgements.map(({ line, userId }) => [line, userId])
const reasons = (judgements: Judgement[]) =>
  judgements.map(({ line, reason }) => [line, reason?.split(':')[0]])

const largest = '9223372036854775807'
const noId = 'is not a user id'
const noTime = 'is not a time such as 2026-11-23T08'

t.test('ids are exact up to the largest, in each format', async (t) => {
  for (const id of ['1', '9007199254740993', largest]) {
    t.same(ids(await csv(id)), [[1, id]])
    t.same(ids(await ndjson(`${id}\n"${id}"\n{"user_id":${id}}\n{"user_id":"${id}"}`)), [
      [1, id],
      [2, id],
      [3, id],
      [4, id]
    ])
    t.same(ids(await json(`[${id},"${id}" , {"user_id":${id}},\n{"user_id":"${id}"}]`)), [
      [1, id],
      [2, id],
      [3, id],
      [4, id]
    ])
  }
})

t.test('integers that are written as floats are exact', async (t) => {
  t.same(ids(await csv(`6799010.0\n${largest}.00`)), [
    [1, '6799010'],
    [2, largest]
  ])
  for (const [number, id] of [
    ['6799010.0', '6799010'],
    ['1e3', '1000'],
    ['12.50E+1', '125'],
    ['0.12e2', '12'],
    ['1200e-2', '12'],
    [`${largest}.0`, largest],
    ['9.223372036854775807e18', largest]
  ] as const) {
    t.same(ids(await ndjson(`${number}\n{"user_id":${number}}`)), [
      [1, id],
      [2, id]
    ])
    t.same(ids(await json(`[${number},{"user_id":${number}}]`)), [
      [1, id],
      [2, id]
    ])
    t.same(reasons(await json(`["${number}"]`)), [[1, noId]], 'not in a string')
  }
})

t.test('the reason of a rejected line says what is wrong with it', async (t) => {
  const why = async (reading: Promise<Judgement[]>) => (await reading).map(({ reason }) => reason)
  const id = (reason: string) => `is not a user id: ${reason}`
  const time = (reason: string) => `is not a time such as 2026-11-23T08:51:00Z: ${reason}`
  const spaces = 'it begins or ends with a space'
  t.same(await why(json('[" 1", {"user_id": 1, "expires_at": " 2100-01-01T00:00:00Z"}]')), [
    id(spaces),
    time(spaces)
  ])
  for (const [line, reason] of [
    ['007', id('it begins with 0')],
    ['6.79901E+06', id('it is in scientific notation, so a spreadsheet may have rounded it')],
    ['1|2', id('columns are separated by commas, semicolons or tabs, the same in all lines')],
    ['x', id(`an integer from 1 to ${largest}`)],
    ['1,01.01.2100', time('the year comes first')],
    ['1,2100-01-01', time('the time of day is missing')],
    ['1,2100-01-01 00:00:00', time('the offset is missing, such as Z for UTC')],
    ['1,2100-01-01 00:00:00Z', time('T must be between the day and the time')]
  ] as const) {
    t.same(await why(csv(`7\n${line}`)), [undefined, reason], line)
    const [userId, expiry] = line.split(',')
    const element = JSON.stringify({ user_id: userId, expires_at: expiry })
    t.same(await why(ndjson(element)), [reason], element)
    t.same(await why(json(`[${element}]`)), [reason], element)
  }
})

t.test('a line that is not UTF-8 is rejected, and the others are read', async (t) => {
  for (const [Reader, head, line, tail] of [
    [CsvReader, 'user_id,expires_at\n1\n', '2\xff', '\n3,\xfc\n4'],
    [NdjsonReader, '0\n1\n', '"2\xff"', '\n{"user_id":3,"expires_at":"\xfc"}\n4'],
    [JsonArrayReader, '[0,1,', '"2\xff"', ',{"user_id":3,"\xfc":1},4]']
  ] as const) {
    const judged = await judgeUpload(Reader, [Buffer.from(head + line + tail, 'latin1')])
    t.same(
      judged.filter(({ line }) => line > 1).map(({ line, userId, reason }) => [line, userId ?? reason]),
      [
        [2, '1'],
        [3, 'is not valid UTF-8'],
        [4, 'is not valid UTF-8'],
        [5, '4']
      ]
    )
  }
})

t.test('an element with a key that appears more than once is rejected', async (t) => {
  const repeated = 'appears more than once in an object'
  const element = '{"user_id":1,"user_id":2}'
  t.same(await ndjson(`${element}\n3`), [
    { line: 1, reason: repeated },
    { line: 2, userId: '3', expiresAt: undefined }
  ])
  t.same(await json(`[${element},{"user_id":{"a":1,"a":2}}]`), [
    { line: 1, reason: repeated },
    { line: 2, reason: repeated }
  ])
})

t.test('invalid ids are rejected, in each format', async (t) => {
  const wrong = ['0', '-1', '+1', '01', '1.5', '1e3', '0x1', '٣', '9223372036854775808', '1'.repeat(20), 'x']
  for (const text of wrong) {
    t.same(
      reasons(await csv(`7\n${text}`)),
      [
        [1, undefined],
        [2, noId]
      ],
      text
    )
    t.same(
      reasons(await json(`[7, "${text}"]`)),
      [
        [1, undefined],
        [2, noId]
      ],
      text
    )
    t.same(
      reasons(await ndjson(`7\n{"user_id":"${text}"}`)),
      [
        [1, undefined],
        [2, noId]
      ],
      text
    )
  }
  for (const element of [
    '0',
    '-1',
    '1.5',
    '1.05e1',
    '-1.0',
    '1e99',
    '92233720368547758.08e2',
    '1e-3',
    '15e-1',
    '9223372036854775808',
    '9223372036854775807.5',
    '1e19',
    'true',
    'null',
    '[]',
    '[1]',
    '{}',
    '""'
  ]) {
    t.same(reasons(await json(`[${element}]`)), [[1, noId]], element)
    t.same(reasons(await ndjson(element)), [[1, noId]], element)
  }
})

t.test('a JSON number may be an integer in another form, as in other bodies', async (t) => {
  for (const [number, id] of [
    ['6799010.0', '6799010'],
    ['1e3', '1000'],
    ['1.50E+1', '15'],
    ['1500e-2', '15'],
    ['9223372036854775807.000', largest],
    ['92233720368547758.07e2', largest]
  ] as const) {
    t.same(ids(await json(`[${number},{"user_id":${number}}]`)), [
      [1, id],
      [2, id]
    ])
    t.same(ids(await ndjson(number)), [[1, id]])
  }
})

t.test('CSV', async (t) => {
  t.same(
    ids(await csv('\ufeffuser_id\r\n1\r\n\r\n  \n"2"\r\n')),
    [
      [2, '1'],
      [5, '2']
    ],
    'mark, CRLF, blank lines'
  )
  t.same(ids(await csv('User_ID\n1')), [[2, '1']], 'the case of a header')
  t.same(ids(await csv(' Id\n1')), [[2, '1']], 'another name of the column')
  t.same(
    reasons(await csv('user\n1')),
    [
      [1, noId],
      [2, undefined]
    ],
    'another first line is no header'
  )
  t.same(
    reasons(await csv('1\nuser_id')),
    [
      [1, undefined],
      [2, noId]
    ],
    'nor is a later one'
  )
  t.same(
    await csv('"user_id","expires_at"\n1,\n2\n3,2100-01-01T01:00:00.5+01:00\n"4","2100-01-01T00:00:00Z"'),
    [
      { line: 2, userId: '1', expiresAt: undefined },
      { line: 3, userId: '2', expiresAt: undefined },
      { line: 4, userId: '3', expiresAt: '2100-01-01T00:00:00.500000Z' },
      { line: 5, userId: '4', expiresAt: '2100-01-01T00:00:00.000000Z' }
    ]
  )
  t.same(reasons(await csv('user_id,expires_at\n1,tomorrow\n2,,\n,\n"x\ny",\n3,')), [
    [2, noTime],
    [3, 'has 3 cells instead of 2'],
    [4, noId],
    [5, noId],
    [7, undefined]
  ])
  t.same(
    await csv('1,2100-01-01T00:00:00Z\n2,\n3'),
    [
      { line: 1, userId: '1', expiresAt: '2100-01-01T00:00:00.000000Z' },
      { line: 2, userId: '2', expiresAt: undefined },
      { line: 3, userId: '3', expiresAt: undefined }
    ],
    'without a header'
  )
  t.same(
    reasons(await csv('1,2\n2,,')),
    [
      [1, noTime],
      [2, 'has 3 cells instead of 2']
    ],
    'other cells are not taken for an expiry'
  )
  t.same(reasons(await csv('user_id\n1,\n2')), [
    [2, 'has 2 cells instead of 1'],
    [3, undefined]
  ])
  t.same(reasons(await csv('1"\n"2"3\n"4""\n5\n6')), [
    [1, 'has a misplaced quote'],
    [2, 'has a misplaced quote'],
    [3, 'has an unclosed quote']
  ])
  for (const [header, message] of [
    ['user_id,expire_at', 'unknown column (expire_at)'],
    ['user_id,user_id', 'column (user_id) appears more than once']
  ] as const)
    await t.rejects(csv(`${header}\n1,2`), { code: 'INVALID_REQUEST', message })
  t.same(await csv(''), [])
})

t.test('CSV as spreadsheets write it', async (t) => {
  const expiresAt = '2100-01-01T00:00:00.000000Z'
  const time = '2100-01-01T00:00:00Z'
  for (const separator of [',', ';', '\t'])
    for (const [text, first] of [
      [
        `id${separator}expires_at\r\n1${separator}\r\n 2 ${separator} ${time} \r\n "3" ${separator}"${time}"`,
        2
      ],
      [`sep=${separator}\n1\n2${separator}${time}\n"3"${separator} "${time}"`, 2],
      [`"1"\n2${separator}${time}\n"3" ${separator}"${time}\n"`, 1]
    ] as const)
      t.same(
        await csv(text),
        [
          { line: first, userId: '1', expiresAt: undefined },
          { line: first + 1, userId: '2', expiresAt },
          { line: first + 2, userId: '3', expiresAt }
        ],
        JSON.stringify(text)
      )
  t.same(ids(await csv('\u00a01\u00a0\n10,0;\n10.0')), [
    [1, '1'],
    [2, '10'],
    [3, '10']
  ])
  const rounded = 'is not a user id: it is in scientific notation, so a spreadsheet may have rounded it'
  t.same(await csv('1,23457E+11\n"1,23457E+11";\n5'), [
    { line: 1, reason: rounded },
    { line: 2, reason: rounded },
    { line: 3, userId: '5', expiresAt: undefined }
  ])
  t.same(
    reasons(await csv('1;\n2,\n"3;4";\n5\t6')),
    [
      [1, undefined],
      [2, noId],
      [3, noId],
      [4, noId]
    ],
    'one separator in all lines, which may be in quotes'
  )
  t.same(
    reasons(await csv('1;2;3\n"a;\n";\n4')),
    [
      [1, 'has 3 cells instead of 2'],
      [2, noId],
      [4, undefined]
    ],
    'and line breaks too'
  )
})

t.test('UTF-16 with a byte order mark is CSV only', async (t) => {
  const text = 'user_id;expires_at\r\n1;\r\nÄ😀;\r\n2;2100-01-01T00:00:00Z\r\n'
  const little = Buffer.from(`\ufeff${text}`, 'utf16le')
  const big = Buffer.from(little).swap16()
  for (const bytes of [little, big])
    for (const parts of [[bytes], [...bytes].map((byte) => Buffer.of(byte))])
      t.same(await judgeUpload(CsvReader, parts), await csv(text))
  const surrogate = Buffer.concat([little, Buffer.of(0x00, 0xd8)])
  t.same(reasons(await judgeUpload(CsvReader, [surrogate])).at(-1), [5, 'is not valid UTF-8'])
  const json16 = Buffer.from('\ufeff[1]', 'utf16le')
  await t.rejects(judgeUpload(JsonArrayReader, [json16]), { code: 'INVALID_UTF8' })
  await t.rejects(csv('1\0\n'), { code: 'INVALID_UTF8' }, 'without a mark')
  await t.rejects(csv('PK\x03\x04'), { code: 'INVALID_REQUEST', message: /save it as CSV/ }, 'a workbook')
})

t.test('newline-delimited JSON', async (t) => {
  const lines = [
    '1',
    '',
    ' "2" \r',
    '{"user_id":3,"expires_at":null}',
    '{"user_id":4,"expires":1}',
    '{',
    '1 2'
  ]
  t.same(await ndjson(lines.join('\n')), [
    { line: 1, userId: '1', expiresAt: undefined },
    { line: 3, userId: '2', expiresAt: undefined },
    { line: 4, userId: '3', expiresAt: undefined },
    { line: 5, reason: 'is an unknown field' },
    { line: 6, reason: 'is not valid JSON' },
    { line: 7, reason: 'is not valid JSON' }
  ])
  t.same(reasons(await ndjson('{"user_id":1,"expires_at":5}\n{"user_id":1,"__proto__":{}}')), [
    [1, noTime],
    [2, 'is an unknown field']
  ])
})

t.test('a JSON array', async (t) => {
  for (const empty of ['[]', ' [ ]\n', '\ufeff[]']) t.same(await json(empty), [])
  t.same(reasons(await json('["a,]\\"[{", {"user_id":1}, {"user_id":[{}]}]')), [
    [1, noId],
    [2, undefined],
    [3, noId]
  ])
  const malformed = [
    '',
    ' ',
    '[',
    '[1',
    '[1,',
    '[1,]',
    '[,1]',
    '[1,,2]',
    '[1 2]',
    '[1]]',
    '[1],',
    '[01]',
    '["1]',
    '[}]',
    '{}',
    '1',
    '[{]}]',
    '[a]',
    '[\u00a0]'
  ]
  for (const text of malformed) await t.rejects(json(text), { code: 'INVALID_JSON', statusCode: 400 }, text)
})

t.test('a line that is too long is rejected, and the next one is read', async (t) => {
  const long = '1'.repeat(200_000)
  const tooLong = 'is longer than 65536 characters'
  t.same(reasons(await csv(`${long}\n2`)), [
    [1, tooLong],
    [2, undefined]
  ])
  t.same(reasons(await csv(`user_id\n"${'\n'.repeat(70_000)}`)).slice(0, 1), [[2, tooLong]], 'an open quote')
  t.same(reasons(await ndjson(`${long}\n2`)), [
    [1, tooLong],
    [2, undefined]
  ])
  t.same(reasons(await json(`["${long}",2,{"user_id":"${long}"}]`)), [
    [1, tooLong],
    [2, undefined],
    [3, tooLong]
  ])
})

t.test('unclosed quotes take linear time', async (t) => {
  // So many that quadratic time would exceed the time limit of a test.
  const lines = 2_000_000
  for (const line of ['""\n', '\n']) {
    const judged = await csv(`"\n${line.repeat(lines)}`)
    t.same(reasons(judged).slice(0, 1), [[1, 'is longer than 65536 characters']])
  }
})

t.test('the result does not depend on how the upload is split into chunks', async (t) => {
  const uploads = [
    [
      CsvReader,
      '\ufeffuser_id,expires_at\r\n1,2100-01-01T00:00:00Z\r\n"2",\r\nä€😀,\r\n\r\n"a\r\n""b",\r\n922\r\n'
    ],
    [
      NdjsonReader,
      '1\r\n"2"\n{"user_id":9223372036854775807,"expires_at":"2100-01-01T00:00:00Z"}\n"ä€😀"\n\n7'
    ],
    [JsonArrayReader, ' [1, "2" ,{"user_id":9223372036854775807,"x":["}\\"€😀"]}, "ä\\\\", -1.5,12345]\n']
  ] as const
  for (const [Reader, text] of uploads) {
    const bytes = Buffer.from(text)
    const whole = await judgeUpload(Reader, [bytes])
    const byByte = await judgeUpload(
      Reader,
      [...bytes].map((byte) => Buffer.of(byte))
    )
    t.same(byByte, whole, 'byte by byte')
    const cuts = fc.uniqueArray(fc.integer({ min: 0, max: bytes.length }), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(cuts, async (positions) => {
        const edges = [0, ...positions.sort((a, b) => a - b), bytes.length]
        const parts = edges.slice(1).map((end, index) => bytes.subarray(edges[index], end))
        t.same(await judgeUpload(Reader, parts), whole)
      })
    )
  }
})

t.test('all formats give the same result', async (t) => {
  const element = fc.oneof(
    fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map(String),
    fc.constantFrom('0', 'x', '-5')
  )
  await fc.assert(
    fc.asyncProperty(fc.array(element), async (texts) => {
      const judged = await csv(texts.join('\n'))
      t.same(await ndjson(texts.map((text) => JSON.stringify(text)).join('\n')), judged)
      t.same(await json(JSON.stringify(texts)), judged)
      t.same(judged.length, texts.length)
    })
  )
})
