import { chooseForm, formatCount, type Language, language } from './language.ts'

/** A text in every language. */
type Entry<Text> = Readonly<Record<Language, Text>>

/** A text, in English and in Russian. With values, both are functions of the same ones. */
function say(en: string, ru: string): Entry<string>
function say<Values extends unknown[]>(
  en: (...values: Values) => string,
  ru: (...values: Values) => string
): Entry<(...values: Values) => string>
function say<Text>(en: Text, ru: Text): Entry<Text> {
  return { en, ru }
}

/** A number with its noun: English needs two forms of it, Russian three. */
function sayCount(en: [one: string, other: string], ru: [one: string, few: string, many: string]) {
  return say(
    (number: number) => `${formatCount(number)} ${chooseForm(number, { one: en[0], other: en[1] })}`,
    (number: number) =>
      `${formatCount(number)} ${chooseForm(number, { one: ru[0], few: ru[1], many: ru[2], other: ru[1] })}`
  )
}

/** Every text that is shown, by the part of the console that shows it. */
const table = {
  common: {
    title: say('User segments', 'Сегменты пользователей'),
    skip: say('Skip to content', 'Перейти к содержанию'),
    cancel: say('Cancel', 'Отмена'),
    close: say('Close', 'Закрыть'),
    save: say('Save', 'Сохранить'),
    delete: say('Delete', 'Удалить'),
    retry: say('Try again', 'Повторить'),
    loading: say('Loading…', 'Загрузка…'),
    none: say('none', 'нет'),
    never: say('never', 'никогда'),
    yes: say('yes', 'да'),
    no: say('no', 'нет'),
    now: say('now', 'сейчас'),
    details: say('Details', 'Подробности'),
    copied: say('Copied', 'Скопировано'),
    optional: say('optional', 'необязательно'),
    showMore: say('Show more', 'Показать ещё'),
    noKeyName: say('no key', 'без ключа'),
    service: say('service', 'сервис'),
    users: sayCount(['user', 'users'], ['пользователь', 'пользователя', 'пользователей']),
    segments: sayCount(['segment', 'segments'], ['сегмент', 'сегмента', 'сегментов'])
  },
  navigation: {
    label: say('Main', 'Главное меню'),
    segments: say('Segments', 'Сегменты'),
    groups: say('Groups', 'Группы'),
    imports: say('Imports', 'Загрузки'),
    reports: say('Reports', 'Отчёты'),
    changes: say('Changes', 'Изменения'),
    webhooks: say('Webhooks', 'Вебхуки'),
    system: say('System', 'Система'),
    documentation: say('API documentation', 'Документация API'),
    goTo: say('Go to a user or a segment', 'Перейти к пользователю или сегменту'),
    goToPlaceholder: say('User id or slug', 'Номер или сегмент'),
    wentTo: say(
      (title: string) => `Page: ${title}`,
      (title: string) => `Страница: ${title}`
    )
  },
  settings: {
    language: say('Language', 'Язык'),
    theme: say('Colours', 'Цвета'),
    system: say('As the system', 'Как в системе'),
    light: say('Light', 'Светлые'),
    dark: say('Dark', 'Тёмные')
  },
  session: {
    title: say('Sign in', 'Вход'),
    intro: say(
      'Enter the secret of your API key. It decides what you may see and change.',
      'Введите секрет своего ключа API. Он определяет, что вам видно и что вы можете менять.'
    ),
    key: say('API key', 'Ключ API'),
    keep: say('Keep it until this tab is closed', 'Помнить, пока открыта вкладка'),
    keepHint: say(
      'Otherwise it is forgotten when the page is loaded again.',
      'Иначе он забывается при перезагрузке страницы.'
    ),
    signIn: say('Sign in', 'Войти'),
    signOut: say('Sign out', 'Выйти'),
    wrongKey: say('This matches no API key.', 'Такого ключа API нет.'),
    expired: say(
      'Your key is no longer valid. Sign in with another one.',
      'Ваш ключ больше не действует. Войдите с другим.'
    ),
    open: say(
      'No keys are configured: everybody has full access.',
      'Ключи не настроены: у всех полный доступ.'
    ),
    signedInAs: say(
      (name: string, role: string) => `${name} · ${role}`,
      (name: string, role: string) => `${name} · ${role}`
    ),
    roles: {
      reader: say('reader', 'чтение'),
      editor: say('editor', 'правка'),
      admin: say('admin', 'администратор')
    }
  },
  errors: {
    title: say('This did not work', 'Не получилось'),
    outage: say(
      'The service does not answer. Trying again by itself.',
      'Сервис не отвечает. Попытки продолжаются.'
    ),
    requestId: say(
      (id: string) => `Request ${id}`,
      (id: string) => `Запрос ${id}`
    ),
    unexpected: say('Something unexpected happened in the console.', 'В консоли случилось непредвиденное.'),
    notFound: say('There is no such page', 'Такой страницы нет'),
    notFoundHint: say('The address may be misspelt.', 'Возможно, в адресе ошибка.'),
    toStart: say('To the segments', 'К сегментам')
  },
  confirm: {
    typeSlug: say(
      (slug: string) => `Type ${slug} to confirm`,
      (slug: string) => `Для подтверждения введите ${slug}`
    )
  },
  lists: {
    results: say(
      (count: number, isComplete: boolean) => `${formatCount(count)}${isComplete ? '' : '+'} shown`,
      (count: number, isComplete: boolean) => `Показано: ${formatCount(count)}${isComplete ? '' : '+'}`
    ),
    nothing: say('Nothing found', 'Ничего не найдено')
  },
  segments: {
    title: say('Segments', 'Сегменты'),
    search: say('Search slugs and descriptions', 'Поиск по именам и описаниям'),
    showDeleted: say('Show deleted', 'Показывать удалённые'),
    create: say('New segment', 'Новый сегмент'),
    slug: say('Segment', 'Сегмент'),
    members: say('Members', 'Участники'),
    share: say('Share', 'Доля'),
    trend: say('30 days', '30 дней'),
    trendOf: say(
      (slug: string, first: string, last: string) => `Size of ${slug} over 30 days: from ${first} to ${last}`,
      (slug: string, first: string, last: string) => `Размер ${slug} за 30 дней: от ${first} до ${last}`
    ),
    group: say('Group', 'Группа'),
    created: say('Created', 'Создан'),
    deleted: say('deleted', 'удалён'),
    filling: say('being filled', 'заполняется'),
    failed: say('not filled', 'не заполнен'),
    emptyTitle: say('No segments yet', 'Сегментов пока нет'),
    emptyHint: say(
      'A segment is a named set of users: those you add, or a share of all users.',
      'Сегмент — именованный набор пользователей: добавленных поимённо или доли от всех.'
    ),
    emptySearch: say('No segment matches', 'Нет подходящих сегментов'),
    emptySearchHint: say(
      'Try fewer letters, or show deleted ones.',
      'Попробуйте меньше букв или покажите удалённые.'
    )
  },
  createSegment: {
    title: say('New segment', 'Новый сегмент'),
    slug: say('Slug', 'Имя'),
    slugHint: say(
      'Letters, digits, “_”, “-” and “.”. It is stored in capitals, and can never be used again.',
      'Буквы, цифры, «_», «-» и «.». Хранится заглавными; использовать повторно нельзя.'
    ),
    slugWrong: say('This cannot be a slug.', 'Так имя выглядеть не может.'),
    description: say('Description', 'Описание'),
    sampled: say('Add a share of all users', 'Добавить долю всех пользователей'),
    share: say('Share, in per cent', 'Доля, в процентах'),
    shareWrong: say('A number from 0 to 100.', 'Число от 0 до 100.'),
    enroll: say(
      'New users join with the same probability',
      'Новые пользователи попадают с той же вероятностью'
    ),
    group: say('Exclusive group', 'Взаимоисключающая группа'),
    groupHint: say(
      'A user is in at most one segment of a group.',
      'Пользователь состоит не более чем в одном сегменте группы.'
    ),
    noGroup: say('No group', 'Без группы'),
    effect: say(
      (slug: string, users: string) => `${slug} will be created with ${users}, chosen at random.`,
      (slug: string, users: string) => `Будет создан ${slug}, случайно выбранных участников: ${users}.`
    ),
    effectEmpty: say(
      (slug: string) => `${slug} will be created without members.`,
      (slug: string) => `Будет создан ${slug} без участников.`
    ),
    create: say('Create segment', 'Создать сегмент'),
    created: say(
      (slug: string) => `${slug} was created`,
      (slug: string) => `Создан ${slug}`
    )
  }
}

type Words<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Entry<infer Text> ? Text : Words<Table[Name]>
}

/** The texts in the viewer's language. */
export type Texts = Words<typeof table>

function isEntry(node: object): node is Entry<unknown> {
  return 'en' in node && 'ru' in node
}

function choose(node: object, chosen: Language): unknown {
  if (isEntry(node)) return node[chosen]
  return Object.fromEntries(Object.entries(node).map(([name, child]) => [name, choose(child, chosen)]))
}

function createTexts(chosen: Language): Texts {
  // The table decides the type: a path in it leads to a text of one language.
  return choose(table, chosen) as Texts
}

/** The texts in the viewer's language. When it changes, everything is rendered again. */
export let t: Texts = createTexts(language.value)

// Subscribed before any component, which reads `t` when it is rendered.
language.subscribe(() => {
  t = createTexts(language.value)
})
